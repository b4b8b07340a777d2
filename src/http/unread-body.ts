import type { Request } from 'express';

const MAX_BYTES = 64 * 1024 * 1024;
const MAX_TIME_MS = 10_000;

/**
 * Reads on, for a while, what the client is still sending after it was refused. Closing at once would reset the connection,
 * and a client that is writing would lose the answer that tells it why. Beyond the bounds the connection is closed.
 */
export function discardUnreadBody(request: Request): void {
  if (request.readableEnded || request.destroyed || request.complete) {
    request.resume();
    return;
  }
  let remaining = MAX_BYTES;
  const close = (): void => {
    request.socket.destroy();
  };
  const timer = setTimeout(close, MAX_TIME_MS);
  timer.unref();
  request.unpipe();
  request.on('data', (chunk: Buffer) => {
    remaining -= chunk.length;
    if (remaining < 0) close();
  });
  request.once('close', () => clearTimeout(timer));
  request.once('end', () => clearTimeout(timer));
  request.on('error', close);
  request.resume();
}
