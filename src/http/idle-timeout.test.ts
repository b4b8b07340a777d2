import { once } from 'node:events';
import { createServer, get, Agent, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import { afterEach, expect, test } from 'vitest';
import { withoutIdleTimeout } from './idle-timeout.js';

const IDLE_MS = 150;
const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

test('work outlives the idle timeout of its connection, which has it again afterwards', async () => {
  const app = express();
  let end = (): void => undefined;
  const work = new Promise<void>((resolve) => (end = resolve));
  let timeouts: readonly (number | undefined)[] = [];
  app.get('/long', async (request, response) => {
    await withoutIdleTimeout(request, () => work);
    timeouts = [...timeouts, request.socket.timeout];
    response.end('done');
  });
  app.get('/failing', async (request, response) => {
    await withoutIdleTimeout(request, () => Promise.reject(new Error('no'))).catch(() => undefined);
    timeouts = [...timeouts, request.socket.timeout];
    response.end('failed');
  });
  app.get('/cut', () => undefined);
  const server = createServer(app);
  server.setTimeout(IDLE_MS);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const agent = new Agent({ keepAlive: true });
  closing.push(() => {
    agent.destroy();
    server.closeAllConnections();
    server.close();
  });
  // @NOTE a server that listens on TCP has an AddressInfo.
  const { port } = server.address() as AddressInfo;
  const call = (path: string) => get({ port, host: '127.0.0.1', path, agent });

  const long = once(call('/long'), 'response');
  // Begun later and cut: the first connection has been idle for longer.
  await expect(once(call('/cut'), 'response')).rejects.toMatchObject({ code: 'ECONNRESET' });
  end();
  // @NOTE what the event `response` carries.
  const [response] = (await long) as [IncomingMessage];
  expect((await response.toArray()).join('')).toBe('done');
  await once(call('/failing'), 'response');
  expect(timeouts).toEqual([IDLE_MS, IDLE_MS]);
});
