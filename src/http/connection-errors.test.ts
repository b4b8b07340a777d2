import { connect, type Socket } from 'node:net';
import { once } from 'node:events';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLogger } from '../observability/logger.js';
import { createApp } from './app.js';
import { jsonBody } from './json-body.js';
import { createRouter } from './route-table.js';
import { listen, type RunningServer } from './server.js';

let server: RunningServer;
const logLines: string[] = [];
let releaseSlow: (() => void) | null = null;

beforeAll(async () => {
  const logger = createLogger({
    level: 'debug',
    destination: new Writable({
      write(chunk: Buffer, _encoding, done) {
        logLines.push(chunk.toString());
        done();
      },
    }),
  });
  const app = createApp({
    logger,
    gatewayKeys: { authenticate: () => Promise.resolve({ workspaceId: 'ws_1', apiKeyId: 'key_1' }) },
    publicRouters: [],
    routers: [
      createRouter({
        '/v1/echo': { POST: [jsonBody(), (request, response) => response.json({ got: request.body })] },
        '/v1/begun': {
          POST: (_request, response) => {
            response.write('begun');
          },
        },
        '/v1/slow': {
          GET: (_request, response) => {
            releaseSlow = () => response.json({ slow: true });
          },
        },
      }),
    ],
  });
  server = await listen(app, { host: '127.0.0.1', port: 0, logger });
});
afterAll(() => server.close(0));

interface Raw {
  readonly socket: Socket;
  readonly received: () => string;
  readonly closed: Promise<unknown>;
}

function open(text: string): Raw {
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  let received = '';
  socket.on('data', (chunk) => (received += chunk.toString()));
  socket.on('error', () => undefined);
  socket.write(text);
  return { socket, received: () => received, closed: once(socket, 'close') };
}

/** Everything that comes back until the connection is closed. */
async function exchange(text: string): Promise<{ status: number; head: string; error: Record<string, unknown> }> {
  const raw = open(text);
  await raw.closed;
  const [head = '', body = ''] = raw.received().split('\r\n\r\n');
  // @NOTE answers are asserted field by field.
  const { error } = JSON.parse(body) as { error: Record<string, unknown> };
  expect(head).toContain(`Content-Length: ${Buffer.byteLength(body)}`);
  expect(head).toMatch(/^connection: close$/im);
  expect(head).toMatch(/^content-type: application\/json; charset=utf-8$/im);
  expect(head).toMatch(/^x-request-id: req_[0-9a-f]{24}$/im);
  return { status: Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1]), head, error };
}

describe('a request that HTTP itself refuses has the envelope and a request id', () => {
  test.each([
    ['no HTTP', 'rubbish\r\n\r\n', 400, 'not valid HTTP'],
    ['a TLS greeting', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000', 400, 'not valid HTTP'],
    ['a header that is none', 'GET /healthz HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n', 400, 'not valid HTTP'],
    [
      'two lengths',
      'POST /v1/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
      400,
      'not valid HTTP',
    ],
    [
      'a body that is not chunked as it says',
      'POST /v1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      400,
      'not valid HTTP',
    ],
    ['headers over the limit', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(200_000)}\r\n\r\n`, 431, 'headers'],
  ])('%s', async (_what, text, status, message) => {
    const answer = await exchange(text);
    expect(answer.status).toBe(status);
    expect(answer.error).toMatchObject({
      type: 'invalid_request_error',
      param: null,
      message: expect.stringContaining(message),
    });
    const id = /req_[0-9a-f]{24}/.exec(answer.head)![0];
    expect(logLines.some((line) => line.includes(id) && line.includes(`"status":${status}`))).toBe(true);
  });

  test('CONNECT is 405', async () => {
    const answer = await exchange('CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n');
    expect(answer.status).toBe(405);
    expect(answer.head).toMatch(/^allow: GET, /im);
    expect(answer.error).toMatchObject({ code: 'method_not_allowed' });
  });

  test('an expectation other than 100-continue is 417', async () => {
    const answer = await exchange(
      'POST /v1/echo HTTP/1.1\r\nHost: x\r\nExpect: 200-maybe\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}',
    );
    expect(answer.status).toBe(417);
    expect(answer.error).toMatchObject({ code: 'expectation_failed', message: expect.stringContaining('Expect') });
  });

  test('no Host header is 400', async () => {
    const answer = await exchange('GET /v1/slow HTTP/1.1\r\nConnection: close\r\n\r\n');
    expect(answer.status).toBe(400);
    expect(answer.error).toMatchObject({ message: expect.stringContaining('Host') });
  });
});

test('100-continue goes on as it should', async () => {
  const raw = open(
    'POST /v1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close\r\nExpect: 100-continue\r\n\r\n',
  );
  await expect.poll(raw.received).toContain('HTTP/1.1 100 Continue');
  raw.socket.write('{}');
  await raw.closed;
  expect(raw.received()).toContain('{"got":{}}');
});

test('an answer that has begun is cut, not followed by another', async () => {
  const raw = open(
    'POST /v1/begun HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nTransfer-Encoding: chunked\r\n\r\n',
  );
  await expect.poll(raw.received).toContain('begun');
  raw.socket.write('zz\r\n');
  await raw.closed;
  expect(raw.received().match(/HTTP\/1\.1/g)).toHaveLength(1);
});

test('a call under way is answered first, and gets no answer that is meant for what came after it', async () => {
  const raw = open('GET /v1/slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\n\r\nrubbish\r\n\r\n');
  await expect.poll(() => releaseSlow).not.toBeNull();
  releaseSlow?.();
  await raw.closed;
  expect(raw.received()).toContain('{"slow":true}');
  expect(raw.received().match(/HTTP\/1\.1/g)).toHaveLength(1);
});

test('a client that is gone already is no error', async () => {
  const raw = open('rubbish\r\n\r\n');
  raw.socket.resetAndDestroy();
  await raw.closed;
  const answer = await exchange('rubbish\r\n\r\n');
  expect(answer.status).toBe(400);
});
