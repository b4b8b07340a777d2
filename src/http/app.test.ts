import { connect } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { GatewayError } from '../domain/errors.js';
import { jsonBody } from './json-body.js';
import { createRouter } from './route-table.js';
import { startTestGateway, type TestGateway } from './test-support/test-gateway.js';

const SECRET = 'sk-canary-abcdefghijklmnop';
let gateway: TestGateway;
let stopping = false;

beforeAll(async () => {
  gateway = await startTestGateway({
    app: {
      isStopping: () => stopping,
      routers: [
        createRouter({
          '/v1/echo': { POST: [jsonBody(), (request, response) => response.json({ got: request.body })] },
          '/v1/optional': {
            POST: [jsonBody({ optional: true }), (request, response) => response.json({ got: request.body })],
          },
          '/v1/things/:id': {
            GET: (_request, response) => response.json({}),
            DELETE: (_request, response) => response.json({}),
          },
          '/v1/crash': {
            GET: () => {
              throw new Error(`unexpected, with ${SECRET} in it`);
            },
          },
          '/v1/late': {
            GET: (_request, response) => {
              response.write('begun');
              throw new Error('after the headers');
            },
          },
          '/v1/busy': {
            GET: () => {
              throw new GatewayError('database_unavailable', 'The database does not answer.', { retryAfterMs: 1_500 });
            },
          },
        }),
      ],
    },
  });
});
afterAll(() => gateway.stop());

const post = (body: string | Uint8Array, headers: Record<string, string> = {}, path = '/v1/echo') =>
  gateway.call('POST', path, { body, headers: { 'content-type': 'application/json', ...headers } });

describe('the gateway key', () => {
  test('is asked for', async () => {
    const answer = await gateway.call('GET', '/v1/things/1', { key: null });
    expect(answer.status).toBe(401);
    expect(answer.headers.get('www-authenticate')).toContain('Bearer');
    expect(answer.json).toEqual({
      error: {
        message: expect.stringContaining("You didn't provide an API key"),
        type: 'invalid_request_error',
        param: null,
        code: null,
      },
    });
  });

  test.each(['tsk-wrong-key-0123456789', 'x', 'y'.repeat(3_000)])(
    'must be right, and is not repeated (%#)',
    async (key) => {
      const answer = await gateway.call('GET', '/v1/things/1', { key });
      expect(answer.status).toBe(401);
      expect(answer.json.error).toMatchObject({ code: 'invalid_api_key', type: 'invalid_request_error' });
      if (key.length > 1) expect(JSON.stringify(answer.json)).not.toContain(key);
    },
  );

  test('is taken from x-portkey-api-key, from a bearer token, and from the second when the first is a vendor key', async () => {
    for (const headers of [
      { 'x-portkey-api-key': gateway.key },
      { 'x-portkey-api-key': gateway.key, authorization: 'Bearer sk-vendor' },
      { 'x-portkey-api-key': 'not-ours', authorization: `bearer ${gateway.key}` },
    ]) {
      expect((await gateway.call('GET', '/v1/things/1', { key: null, headers })).status).toBe(200);
    }
    const basic = await gateway.call('GET', '/v1/things/1', { key: null, headers: { authorization: 'Basic eDp5' } });
    expect(basic.json.error).toMatchObject({ code: 'invalid_api_key' });
  });

  test('stops working the moment it is revoked', async () => {
    await gateway.gatewayKeys.ensure('tsk-short-lived', { workspaceId: 'ws_test', name: 'short' });
    const owner = await gateway.gatewayKeys.authenticate('tsk-short-lived');
    expect((await gateway.call('GET', '/v1/things/1', { key: 'tsk-short-lived' })).status).toBe(200);
    expect(await gateway.gatewayKeys.revoke('ws_test', owner!.apiKeyId)).toBe(true);
    expect((await gateway.call('GET', '/v1/things/1', { key: 'tsk-short-lived' })).status).toBe(401);
  });
});

describe('routes', () => {
  test('an unknown one is 404', async () => {
    for (const path of ['/v1/nothing', '/nothing', '/v1', '/V1/things/1']) {
      const answer = await gateway.call('GET', path);
      expect([path, answer.status]).toEqual([path, 404]);
      expect(answer.json.error).toMatchObject({
        type: 'invalid_request_error',
        code: 'unknown_url',
        message: `Invalid URL (GET ${path})`,
      });
    }
  });

  test.each([
    '/v1/batches',
    '/v1/chat/completions',
    '/v1/models',
    '/v1/responses',
    '/v1/embeddings',
    '/v1/fine_tuning/alpha/graders/run',
  ])('OpenAI route %s, which is not ours, is 404 not_supported', async (path) => {
    const answer = await gateway.call('POST', path, { body: {} });
    expect(answer.status).toBe(404);
    expect(answer.json.error).toMatchObject({ code: 'not_supported' });
  });

  test('a wrong method is 405 with Allow, and OPTIONS tells the same', async () => {
    const answer = await gateway.call('PUT', '/v1/things/1', { body: {} });
    expect(answer.status).toBe(405);
    expect(answer.headers.get('allow')).toBe('GET, HEAD, DELETE, OPTIONS');
    expect(answer.json.error).toMatchObject({ code: 'method_not_allowed' });
    const options = await gateway.call('OPTIONS', '/v1/things/1');
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'GET, HEAD, DELETE, OPTIONS']);
    expect((await gateway.call('HEAD', '/v1/things/1')).status).toBe(200);
  });

  test('a path that cannot be decoded or holds U+0000 is 400', async () => {
    expect((await gateway.call('GET', '/v1/things/%E0%A4%A')).status).toBe(400);
    expect((await gateway.call('GET', '/v1/things/a%00b')).status).toBe(400);
  });
});

describe('JSON bodies', () => {
  test.each([
    ['{"a": 1,}', 'line 1, column 9'],
    ['{\n  "a": 1,\n  "b": tru\n}', 'line 3, column 8'],
    ['{"a": "unfinished', 'end of input at line 1, column 18'],
    ['not json', 'line 1, column 1'],
  ])('a malformed one is 400 with the position: %j', async (text, position) => {
    const answer = await post(text);
    expect(answer.status).toBe(400);
    expect(answer.json.error).toMatchObject({
      type: 'invalid_request_error',
      message: expect.stringContaining(position),
    });
  });

  test('a mistake near a secret does not repeat it', async () => {
    const answer = await post(`{"key": "${SECRET}" oops}`);
    expect(answer.status).toBe(400);
    expect(JSON.stringify(answer.json)).not.toContain(SECRET);
  });

  test('over the limit is 413, with and without a length', async () => {
    const large = JSON.stringify({ a: 'x'.repeat(1024 * 1024) });
    expect((await post(large)).status).toBe(413);
    const stream = new Blob([large]).stream();
    const response = await fetch(`${gateway.url}/v1/echo`, {
      method: 'POST',
      body: stream,
      duplex: 'half',
      headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json' },
    });
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({ error: { code: 'payload_too_large' } });
  });

  test.each([
    { 'content-type': 'text/plain' },
    { 'content-type': 'application/x-www-form-urlencoded' },
    { 'content-type': 'application/json; charset=utf-16' },
    { 'content-encoding': 'gzip' },
    { 'content-encoding': 'br' },
  ])('a wrong content type, charset or encoding is 415: %j', async (headers) => {
    const answer = await post('{}', headers);
    expect(answer.status).toBe(415);
    expect(answer.json.error).toMatchObject({ code: 'unsupported_media_type' });
  });

  test('empty is {} where a body is optional, whatever its type, and 400 where it is not', async () => {
    for (const headers of [
      { 'content-type': 'application/json' },
      { 'content-type': 'application/x-www-form-urlencoded' },
    ]) {
      expect((await post('', headers, '/v1/optional')).json).toEqual({ got: {} });
    }
    expect((await gateway.call('POST', '/v1/optional')).json).toEqual({ got: {} });
    expect((await post('{}', {}, '/v1/optional')).json).toEqual({ got: {} });
    expect((await post('')).status).toBe(400);
  });

  test.each([
    '[]',
    '"text"',
    '1',
    'null',
    '{"a": "\\u0000"}',
    '{"a\\u0000": 1}',
    '{"a": "\\ud800"}',
    `{"a":${'['.repeat(5_000)}${']'.repeat(5_000)}}`,
  ])('what is no object, or could not be stored, is 400 (%#)', async (text) => {
    expect((await post(text)).status).toBe(400);
  });

  test.each(['{"__proto__": 1}', '{"a": [{"b": {"__proto__": {"c": 1}}}]}', '{"\\u005f_proto__": null}'])(
    'the key __proto__, which would be lost, is 400 and named: %s',
    async (text) => {
      const answer = await post(text);
      expect(answer.status).toBe(400);
      expect(answer.json.error).toMatchObject({ message: expect.stringContaining("'__proto__'") });
    },
  );

  test('bytes that are no UTF-8 are 400', async () => {
    expect((await post(Uint8Array.of(0x7b, 0xff, 0x7d))).status).toBe(400);
  });

  test('charset utf-8 and a JSON media type are fine', async () => {
    expect((await post('{"a":"ü"}', { 'content-type': 'application/json; charset=UTF-8' })).json).toEqual({
      got: { a: 'ü' },
    });
    expect((await post('{}', { 'content-type': 'application/merge-patch+json' })).status).toBe(200);
  });
});

describe('errors', () => {
  test('an unexpected one is a 500 whose text is hidden, and whose log line has the stack without the secret', async () => {
    const answer = await gateway.call('GET', '/v1/crash');
    const requestId = answer.headers.get('x-request-id')!;
    expect(answer.status).toBe(500);
    expect(answer.json.error).toMatchObject({
      type: 'server_error',
      code: 'internal_error',
      message: expect.stringContaining(requestId),
    });
    expect(JSON.stringify(answer.json)).not.toContain('canary');
    const line = gateway.logLines.find((candidate) => candidate.includes(requestId) && candidate.includes('"stack"'))!;
    expect(line).toContain('app.test.ts');
    expect(line).not.toContain(SECRET);
  });

  test('a 503 of ours keeps its text and says when to come back', async () => {
    const answer = await gateway.call('GET', '/v1/busy');
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toBe('2');
    expect(answer.json.error).toMatchObject({ code: 'database_unavailable', message: 'The database does not answer.' });
  });

  test('one after the first byte cuts the connection', async () => {
    const read = async (): Promise<string> =>
      (await fetch(`${gateway.url}/v1/late`, { headers: { authorization: `Bearer ${gateway.key}` } })).text();
    await expect(read()).rejects.toThrow();
  });

  test('every answer has a request id of ours, also where the client sent one', async () => {
    const answers = await Promise.all([
      gateway.call('GET', '/v1/things/1', { headers: { 'x-request-id': 'theirs' } }),
      gateway.call('GET', '/v1/things/1', { key: null }),
      gateway.call('GET', '/v1/unknown'),
      gateway.call('PUT', '/v1/things/1'),
      gateway.call('GET', '/v1/crash'),
    ]);
    const ids = answers.map((answer) => answer.headers.get('x-request-id'));
    for (const id of ids) expect(id).toMatch(/^req_[a-z0-9]{24}$/);
    expect(new Set(ids).size).toBe(ids.length);
    expect(answers[0].headers.has('x-powered-by')).toBe(false);
    expect(answers[0].headers.get('x-content-type-options')).toBe('nosniff');
  });

  test('one line is logged for a request, without query, headers or body', async () => {
    const answer = await gateway.call('GET', `/v1/things/1?token=${SECRET}`, {
      headers: { 'x-secret': 'hidden-header' },
    });
    const id = answer.headers.get('x-request-id')!;
    await expect.poll(() => gateway.logLines.filter((line) => line.includes(id)).length).toBe(1);
    const line = gateway.logLines.find((candidate) => candidate.includes(id))!;
    expect(JSON.parse(line)).toMatchObject({
      method: 'GET',
      path: '/v1/things/1',
      status: 200,
      workspaceId: 'ws_test',
      msg: 'request',
    });
    expect(line).not.toContain('canary');
    expect(line).not.toContain('hidden-header');
  });

  test('a client that leaves in the middle of its body is no error of ours', async () => {
    const before = gateway.logLines.length;
    const { port } = new URL(gateway.url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.write(
      `POST /v1/echo HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${gateway.key}\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"a":`,
    );
    await new Promise((resolve) => socket.write(' ', resolve));
    socket.destroy();
    await expect.poll(() => gateway.logLines.slice(before).some((line) => line.includes('"status":499'))).toBe(true);
    expect(gateway.logLines.slice(before).filter((line) => line.includes('"level":"error"'))).toEqual([]);
  });

  test('a stopping gateway says so', async () => {
    stopping = true;
    try {
      const answer = await gateway.call('GET', '/v1/things/1');
      expect(answer.status).toBe(503);
      expect(answer.json.error).toMatchObject({ code: 'shutting_down' });
    } finally {
      stopping = false;
    }
  });
});
