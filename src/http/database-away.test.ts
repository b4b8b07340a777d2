import { connect, createServer, type Socket } from 'node:net';
import { expect, test } from 'vitest';
import { createApiKeyRepository } from '../store/api-keys.js';
import { createDatabase } from '../store/database.js';
import { createGatewayKeys } from '../vault/gateway-keys.js';
import { createTestDatabase } from '../../test/support/database.js';
import { startTestGateway } from './test-support/test-gateway.js';

test('with PostgreSQL away every call is 503, and works again when it is back', async () => {
  const testDatabase = await createTestDatabase();
  const target = new URL(testDatabase.url);
  const sockets = new Set<Socket>();
  const proxy = createServer((socket) => {
    const upstream = connect(Number(target.port), target.hostname);
    for (const end of [socket, upstream]) {
      sockets.add(end);
      end.on('error', () => undefined);
      end.on('close', () => {
        sockets.delete(end);
        socket.destroy();
        upstream.destroy();
      });
    }
    socket.pipe(upstream).pipe(socket);
  });
  const listen = (port: number): Promise<void> => new Promise((resolve) => proxy.listen(port, '127.0.0.1', resolve));
  await listen(0);
  const address = proxy.address();
  if (typeof address !== 'object' || address === null) throw new Error('the proxy has no port');
  const proxied = new URL(testDatabase.url);
  proxied.port = String(address.port);
  const database = createDatabase({ databaseUrl: proxied.toString(), applicationName: 'test' });
  const gatewayKeys = createGatewayKeys({ repository: createApiKeyRepository(database) });
  const gateway = await startTestGateway({ app: { gatewayKeys } });
  const answer = () => gateway.call('GET', '/v1/files');
  try {
    expect((await answer()).status).toBe(401);
    proxy.close();
    for (const socket of sockets) socket.destroy();
    for (const path of ['/v1/files', '/v1/files/file-abc', '/v1/virtual-keys']) {
      expect(await gateway.call('GET', path)).toMatchObject({
        status: 503,
        json: {
          error: { type: 'server_error', code: 'database_unavailable', message: expect.stringContaining('database') },
        },
      });
    }
    await listen(address.port);
    await expect.poll(async () => (await answer()).status).toBe(401);
  } finally {
    await gateway.stop();
    await database.destroy();
    proxy.close();
    await testDatabase.drop();
  }
});
