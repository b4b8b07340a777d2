import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Express } from 'express';
import type { Logger } from '../observability/logger.js';
import { answerConnectionErrors } from './connection-errors.js';

export interface RunningServer {
  /** Base address, without a slash at the end. */
  readonly url: string;
  /** Takes no new connection, lets calls under way end for so long, then cuts them. */
  close(drainMs: number): Promise<void>;
}

export interface ListenOptions {
  readonly host: string;
  readonly port: number;
  /** Told of connections that are refused before they are a request. */
  readonly logger?: Logger;
}

/** A slow upload is legal; slow headers are not. */
const HEADERS_TIMEOUT_MS = 30_000;
/** Nobody sends or reads: the connection, and what an upload has stored so far, are given up. */
const IDLE_TIMEOUT_MS = 120_000;

/** Listens. Port 0 takes a free one. Fails with a message that names the port and what to set. */
export async function listen(app: Express, options: ListenOptions): Promise<RunningServer> {
  const server = createServer(
    // The app refuses a request without Host itself, in our envelope.
    { requestTimeout: 0, headersTimeout: HEADERS_TIMEOUT_MS, keepAliveTimeout: 65_000, requireHostHeader: false },
    app,
  );
  answerConnectionErrors(server, app, options.logger);
  server.setTimeout(IDLE_TIMEOUT_MS);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(explain(error, options)));
    server.listen(options.port, options.host, () => resolve());
  });
  return { url: urlOf(server, options.host), close: (drainMs) => close(server, drainMs) };
}

function explain(error: Error, { host, port }: ListenOptions): Error {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new Error(`port ${port} on ${host} is taken: set PORT to another one, or to 0 for a free one`, {
      cause: error,
    });
  }
  if (code === 'EACCES') return new Error(`port ${port} may not be used by this user: set PORT`, { cause: error });
  return new Error(`cannot listen on ${host}:${port}: ${error.message}`, { cause: error });
}

function urlOf(server: Server, host: string): string {
  // @NOTE a server that listens on TCP has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  const shown = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host;
  return `http://${shown.includes(':') ? `[${shown}]` : shown}:${port}`;
}

async function close(server: Server, drainMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), drainMs);
  await closed;
  clearTimeout(timer);
}
