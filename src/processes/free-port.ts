import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

const LOWEST_PORT = 15_000;
/**
 * Linux hands out 32768 and up to outgoing connections, others start later. Below that range nobody takes the
 * port of a child while it is down, and a client that keeps trying cannot connect to itself on it.
 */
const HIGHEST_PORT = 32_000;
const ATTEMPTS = 200;

/** Whether somebody could listen on this port of the loopback address now. */
export const isPortFree = (port: number, host = '127.0.0.1'): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ port, host, exclusive: true }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });

/** A port on 127.0.0.1 that is free now and that no outgoing connection will take later. */
export const pickFreePort = async (): Promise<number> => {
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const port = randomInt(LOWEST_PORT, HIGHEST_PORT);
    if (await isPortFree(port)) return port;
  }
  throw new Error(`no free port between ${LOWEST_PORT} and ${HIGHEST_PORT} on 127.0.0.1`);
};

export interface ChildPortOptions {
  /** A configured port; 0 or `undefined` takes a free one. */
  readonly port: number | undefined;
  /** What the port is for and how it is configured, for the message when it is taken. */
  readonly purpose: string;
  readonly variable: string;
}

/** The port for a child: the configured one if it is free, else an error that says what to do; or any free one. */
export const choosePort = async (options: ChildPortOptions): Promise<number> => {
  const { port, purpose, variable } = options;
  if (port === undefined || port === 0) return pickFreePort();
  if (await isPortFree(port)) return port;
  throw new Error(`port ${port} for ${purpose} is in use: end what uses it, or set ${variable} (0 takes a free port)`);
};
