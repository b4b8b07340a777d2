import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http';

/** What happens to one request. */
export type Fault =
  | { readonly kind: 'pass' }
  /** An answer of its own; the server does not hear of the request. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly body: string;
      readonly headers?: Record<string, string>;
    }
  /** The connection is cut once so many bytes of the request's body, or of the answer's, have passed. */
  | { readonly kind: 'cut-request' | 'cut-answer'; readonly afterBytes: number }
  /** Nothing more comes once so many bytes of the answer's body have passed; the connection stays open. */
  | { readonly kind: 'stall-answer'; readonly afterBytes: number }
  /** The server does the work, and the connection is cut in the place of its answer. */
  | { readonly kind: 'lose-answer' };

export interface FaultProxy {
  /** Base address, without a slash at the end. */
  readonly url: string;
  /** Asked for every request, in the order in which they come; a request waits for its decision. */
  decide(decision: Decision): void;
  /** `METHOD /path?query` of everything that came, the oldest first. */
  readonly requests: readonly string[];
  /** Requests whose answer is under way or not there yet. */
  active(): number;
  close(): Promise<void>;
}

export type Decision = (request: ProxiedRequest) => Fault | undefined | Promise<Fault | undefined>;

export interface ProxiedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** A proxy in front of an HTTP server that passes everything on as it is, but for what a test decides. */
export async function startFaultProxy(target: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(target);
  const requests: string[] = [];
  let decision: Decision = () => undefined;
  let active = 0;

  const server = createServer((incoming, outgoing) => {
    const { method = 'GET', url = '/', headers } = incoming;
    requests.push(`${method} ${url}`);
    active += 1;
    outgoing.once('close', () => (active -= 1));
    for (const stream of [incoming, outgoing]) stream.on('error', () => undefined);
    void Promise.resolve(decision({ method, path: url, headers })).then((fault) => {
      pass(incoming, outgoing, fault ?? { kind: 'pass' });
    });
  });
  const pass = (incoming: IncomingMessage, outgoing: ServerResponse, fault: Fault): void => {
    const { method, url, headers } = incoming;
    if (fault.kind === 'answer') {
      incoming.resume();
      outgoing.writeHead(fault.status, fault.headers ?? {}).end(fault.body);
      return;
    }
    const upstream = forward({ hostname, port, method, path: url, headers, agent: false });
    outgoing.once('close', () => upstream.destroy());
    upstream.on('error', () => outgoing.destroy());
    upstream.once('response', (answer) => passAnswer(answer, outgoing, fault));
    const cutAfter = fault.kind === 'cut-request' ? fault.afterBytes : Infinity;
    let sent = 0;
    incoming.on('data', (part: Buffer) => {
      sent += part.length;
      if (sent > cutAfter) {
        upstream.destroy();
        incoming.socket.resetAndDestroy();
      } else if (!upstream.write(part)) {
        incoming.pause();
        upstream.once('drain', () => incoming.resume());
      }
    });
    incoming.once('end', () => upstream.end());
  };

  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the proxy has no address');
  return {
    url: `http://127.0.0.1:${address.port}`,
    decide: (next) => (decision = next),
    requests,
    active: () => active,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function passAnswer(answer: IncomingMessage, outgoing: ServerResponse, fault: Fault): void {
  answer.on('error', () => outgoing.destroy());
  if (fault.kind === 'lose-answer') {
    answer.resume().once('end', () => outgoing.socket?.resetAndDestroy());
    return;
  }
  outgoing.writeHead(answer.statusCode ?? 502, answer.headers);
  const isBroken = fault.kind === 'cut-answer' || fault.kind === 'stall-answer';
  let left = isBroken ? fault.afterBytes : Infinity;
  answer.on('data', (part: Buffer) => {
    const passed = part.subarray(0, left);
    left -= passed.length;
    if (!outgoing.write(passed)) {
      answer.pause();
      outgoing.once('drain', () => answer.resume());
    }
    if (left > 0) return;
    answer.destroy();
    if (fault.kind === 'cut-answer') outgoing.socket?.resetAndDestroy();
  });
  answer.once('end', () => outgoing.end());
}
