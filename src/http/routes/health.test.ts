import express from 'express';
import type { Server } from 'node:http';
import { afterEach, expect, test } from 'vitest';
import { createHealthRouter, type HealthDependencies } from './health.js';

let server: Server | undefined;
afterEach(() => server?.close());

async function get(
  path: string,
  dependencies: Partial<HealthDependencies>,
): Promise<{ status: number; body: unknown }> {
  const app = express();
  app.use(createHealthRouter({ probes: {}, version: '1.2.3', ...dependencies }));
  const url = await new Promise<string>((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => {
      const address = listening.address();
      resolve(typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port}` : '');
    });
    server = listening;
  });
  const response = await fetch(url + path);
  return { status: response.status, body: await response.json() };
}

const good = () => Promise.resolve(undefined);
const bad = () => Promise.reject(new Error('postgres://user:password@host refused'));

test('the process is alive whatever it depends on', async () => {
  expect(await get('/healthz', { probes: { database: bad } })).toEqual({
    status: 200,
    body: { status: 'ok', version: '1.2.3' },
  });
});

test('ready when all is well, with the state of each', async () => {
  const { status, body } = await get('/readyz', {
    probes: { database: good, workers: () => Promise.resolve('2 polling') },
  });
  expect(status).toBe(200);
  expect(body).toMatchObject({
    status: 'ready',
    checks: {
      database: { status: 'ok', duration_ms: expect.any(Number) },
      workers: { status: 'ok', detail: '2 polling' },
    },
  });
});

test('not ready when one thing fails, without the words of the failure', async () => {
  const { status, body } = await get('/readyz', { probes: { database: bad, temporal: good } });
  expect(status).toBe(503);
  expect(body).toMatchObject({
    status: 'not_ready',
    checks: { database: { status: 'failed', detail: 'not available' }, temporal: { status: 'ok' } },
  });
  expect(JSON.stringify(body)).not.toContain('password');
});

test('not ready when one thing does not answer in time, which it is told', async () => {
  let aborted = false;
  const silent = (signal: AbortSignal) =>
    new Promise<undefined>(() => signal.addEventListener('abort', () => (aborted = true)));
  const { status, body } = await get('/readyz', { probes: { temporal: silent }, deadlineMs: 20 });
  expect(status).toBe(503);
  expect(body).toMatchObject({ checks: { temporal: { status: 'failed', detail: 'no answer within 20 ms' } } });
  expect(aborted).toBe(true);
});

test('not ready while stopping', async () => {
  expect(await get('/readyz', { isStopping: () => true })).toMatchObject({ status: 503, body: { status: 'stopping' } });
});
