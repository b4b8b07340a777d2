import { STATUS_CODES, type RequestListener, type Server, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { ERROR_CODES, GatewayError } from '../domain/errors.js';
import type { Logger } from '../observability/logger.js';
import { errorEnvelope } from './error-handler.js';
import { newRequestId } from './request-log.js';

/** How long a refused connection may take to read its answer, or to send what nobody reads. */
const LINGER_MS = 2_000;

/**
 * Answers, in our envelope, what never becomes a request of the app: bytes that are no HTTP, headers that are too large or
 * too slow, CONNECT. The connection is closed after it. Without this Node.js answers with an empty body.
 */
export function answerConnectionErrors(server: Server, app: RequestListener, logger?: Logger): void {
  const latest = new WeakMap<Duplex, ServerResponse>();
  const refused = new WeakSet<Duplex>();
  server.prependListener('request', (request, response) => latest.set(request.socket, response));
  // The app refuses it as it does any other request.
  server.on('checkExpectation', app);

  const refuse = (socket: Duplex, error: GatewayError): void => {
    if (refused.has(socket)) return;
    refused.add(socket);
    const response = latest.get(socket);
    const pending = response !== undefined && !response.writableFinished ? response : null;
    if (pending?.req.complete === true) {
      // What is wrong came after it: that call has an answer of its own.
      pending.shouldKeepAlive = false;
      pending.once('close', () => end(socket));
      return;
    }
    // An answer that has begun, or that waits behind another, cannot become this one.
    if (!socket.writable || pending?.headersSent === true || pending?.socket === null) {
      socket.destroy();
      return;
    }
    const requestId = newRequestId();
    logger?.info({ requestId, status: ERROR_CODES[error.code].status, why: error.message }, 'connection refused');
    end(socket, answerText(error, requestId));
  };

  server.on('clientError', (error, socket) => refuse(socket, explain(error)));
  server.on('connect', (_request, socket) => {
    socket.resume();
    const headers = { Allow: 'GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS' };
    refuse(socket, new GatewayError('method_not_allowed', 'This is no proxy: CONNECT is not served.', { headers }));
  });
}

/** Closing at once would reset the connection of a client that still writes, and lose the answer. */
function end(socket: Duplex, text = ''): void {
  socket.on('error', () => socket.destroy());
  socket.end(text);
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  socket.once('close', () => clearTimeout(timer));
}

function explain(error: Error): GatewayError {
  const code = 'code' in error ? error.code : undefined;
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return new GatewayError('headers_too_large', 'The request line and headers are too large.');
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return new GatewayError('payload_too_large', 'The chunk extensions of the body are too large.');
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new GatewayError('request_timeout', 'The headers of the request did not arrive in time.');
    default: {
      // The parser's own words; they repeat nothing of what was sent.
      const reason = 'reason' in error && typeof error.reason === 'string' ? `: ${error.reason}` : '';
      return new GatewayError('invalid_request', `The request is not valid HTTP${reason}.`);
    }
  }
}

function answerText(error: GatewayError, requestId: string): string {
  const { status } = ERROR_CODES[error.code];
  const body = JSON.stringify(errorEnvelope(error, requestId));
  const headers = {
    ...error.headers,
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'Cache-Control': 'no-store',
    'X-Content-Type-Options': 'nosniff',
    'x-request-id': requestId,
    Date: new Date().toUTCString(),
    Connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
  return [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`, ...lines, '', body].join('\r\n');
}
