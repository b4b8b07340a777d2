import { connect, createServer, type Socket } from 'node:net';

export interface CuttingProxy {
  /** Base address, without a slash at the end. */
  readonly url: string;
  /** How many connections it cut so far. */
  cuts(): number;
  close(): Promise<void>;
}

/**
 * A TCP proxy that passes requests on and cuts the connection when the answer to one of the first `times` comes back:
 * the work is done, and the client does not hear of it.
 */
export async function startCuttingProxy(target: string, times: number): Promise<CuttingProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let cuts = 0;
  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.once('close', () => sockets.delete(socket));
  };
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    keep(client);
    keep(upstream);
    client.pipe(upstream);
    client.once('close', () => upstream.destroy());
    upstream.once('close', () => client.destroy());
    upstream.on('data', (part: Buffer) => {
      if (cuts < times) {
        cuts += 1;
        client.resetAndDestroy();
        return;
      }
      client.write(part);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the proxy has no address');
  return {
    url: `http://127.0.0.1:${address.port}`,
    cuts: () => cuts,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}
