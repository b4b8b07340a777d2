import type { Request } from 'express';

/**
 * Does what takes long while nothing goes over the connection, which would be cut as idle otherwise. The work goes on when the
 * client leaves.
 */
export async function withoutIdleTimeout<Result>(request: Request, work: () => Promise<Result>): Promise<Result> {
  const { socket } = request;
  const idleTimeoutMs = socket.timeout ?? 0;
  socket.setTimeout(0);
  try {
    return await work();
  } finally {
    // The connection may serve other calls.
    socket.setTimeout(idleTimeoutMs);
  }
}
