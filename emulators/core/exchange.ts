import type { Request, Response } from 'express';
import { pipeline } from 'node:stream/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { credentialFingerprint } from './credentials.js';
import { ReplyError, type Operation, type OperationHandler, type Reply, type VendorDialect } from './emulator.js';
import type { FaultInjector, FaultRequest } from './faults.js';
import type { RequestLog } from './request-log.js';

// Long enough for every client to give up first, short enough not to keep sockets for ever.
const SILENCE_LIMIT_MS = 15 * 60_000;

interface Exchange {
  request: Request;
  response: Response;
  answered: (status: number) => void;
  headers: Record<string, string>;
}

async function send(exchange: Exchange, reply: Reply): Promise<void> {
  const { response } = exchange;
  // The client has gone: nothing was answered, and the log says so.
  if (response.destroyed) {
    reply.stream?.destroy();
    return;
  }
  exchange.answered(reply.status);
  response.status(reply.status);
  for (const [name, value] of Object.entries({ ...exchange.headers, ...reply.headers }))
    response.setHeader(name, value);
  if (reply.stream !== undefined) {
    // A client that leaves in the middle of a download is its own affair.
    await pipeline(reply.stream, response).catch(() => undefined);
  } else if (reply.json === undefined) {
    response.end();
  } else {
    if (reply.headers?.['content-type'] === undefined) response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(reply.json));
  }
}

async function execute(run: Operation, request: Request, dialect: VendorDialect): Promise<Reply> {
  try {
    return await run(request);
  } catch (error) {
    if (error instanceof ReplyError) return error.reply;
    // A client that broke off, or a defect here: either way the vendor's own server error.
    if (!request.destroyed) process.stderr.write(`${error instanceof Error ? (error.stack ?? '') : String(error)}\n`);
    return { status: 500, json: dialect.errorBody(500) };
  }
}

// A client that is still sending gets no answer it could read, so the body is taken in first.
async function drain(request: Request): Promise<void> {
  request.resume();
  if (request.readableEnded || request.destroyed) return;
  await new Promise<void>((resolve) => {
    request.once('end', resolve);
    request.once('close', resolve);
  });
}

async function stayIn(response: Response, milliseconds: number): Promise<void> {
  const gone = new AbortController();
  const onClose = () => {
    gone.abort();
  };
  response.once('close', onClose);
  await delay(milliseconds, undefined, { signal: gone.signal, ref: false }).catch(() => undefined);
  response.off('close', onClose);
}

function truncatedJson(reply: Reply): string {
  const text = JSON.stringify(reply.json ?? {});
  return text.slice(0, Math.max(1, Math.floor(text.length / 2)));
}

const HTML_PAGE =
  '<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n' +
  '<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n';

async function misbehave(
  fault: FaultRequest,
  exchange: Exchange,
  run: Operation,
  dialect: VendorDialect,
): Promise<void> {
  const { request, response } = exchange;
  switch (fault.kind) {
    case 'reset':
      request.socket.resetAndDestroy();
      return;
    case 'timeout':
      await drain(request);
      await stayIn(response, fault.delay_ms ?? SILENCE_LIMIT_MS);
      request.socket.destroy();
      return;
    case 'execute-then-timeout':
      (await execute(run, request, dialect)).stream?.destroy();
      if (fault.delay_ms !== undefined) await stayIn(response, fault.delay_ms);
      request.socket.destroy();
      return;
    case 'slow':
      await stayIn(response, fault.delay_ms ?? 0);
      await send(exchange, await execute(run, request, dialect));
      return;
    case 'malformed': {
      // The call is done and its answer is broken, as by a proxy that lost the rest of it.
      const reply = await execute(run, request, dialect);
      reply.stream?.destroy();
      exchange.answered(reply.status);
      // Not the headers of the reply: they may promise the length of what is not sent.
      response.writeHead(reply.status, { ...exchange.headers, 'content-type': 'application/json' });
      response.end(truncatedJson(reply));
      return;
    }
    case 'html':
      await drain(request);
      exchange.answered(502);
      response.writeHead(502, { 'content-type': 'text/html' }).end(HTML_PAGE);
      return;
    case 'status': {
      await drain(request);
      const status = fault.status ?? 500;
      const retry = fault.retry_after === undefined ? {} : { 'retry-after': String(fault.retry_after) };
      if (typeof fault.body === 'string') {
        exchange.answered(status);
        response.writeHead(status, { ...exchange.headers, 'content-type': 'text/plain', ...retry }).end(fault.body);
        return;
      }
      await send(exchange, { status, headers: retry, json: fault.body ?? dialect.errorBody(status) });
    }
  }
}

/** Wraps a vendor's operations: each call is logged, may be hit by a fault, and is answered with the vendor's headers. */
export function createHandlerFactory(
  faults: FaultInjector,
  requests: RequestLog,
): (dialect: VendorDialect) => OperationHandler {
  return (dialect) => (operation, run) => async (request, response) => {
    const startedMs = performance.now();
    const credential = dialect.credentialOf(request);
    const exchange: Exchange = {
      request,
      response,
      answered: requests.received({
        provider: dialect.provider,
        operation,
        method: request.method,
        path: request.originalUrl,
        credential: credential === null ? null : credentialFingerprint(credential),
      }),
      headers: {},
    };
    const fault = faults.take(dialect.provider, operation);
    if (fault === undefined) {
      const reply = await execute(run, request, dialect);
      exchange.headers = dialect.headers(request, startedMs);
      await send(exchange, reply);
    } else {
      exchange.headers = dialect.headers(request, startedMs);
      await misbehave(fault, exchange, run, dialect);
    }
  };
}
