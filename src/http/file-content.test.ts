import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestGateway, type TestGateway } from './test-support/test-gateway.js';

const CONTENT = '0123456789';
let gateway: TestGateway;
let path: string;
let failReads = false;

beforeAll(async () => {
  gateway = await startTestGateway({
    wrapStore: (store) => ({
      ...store,
      open: (id, range) => {
        if (!failReads) return store.open(id, range);
        const failing = Readable.from(
          (async function* () {
            yield Buffer.from('012');
            await new Promise((resolve) => setImmediate(resolve));
            throw new Error('the disk broke');
          })(),
        );
        return Promise.resolve(failing);
      },
    }),
  });
  const form = new FormData();
  form.append('purpose', 'user_data');
  form.append('file', new Blob([CONTENT]), 'wéird "name";.csv');
  const { json } = await gateway.call('POST', '/v1/files', { body: form });
  path = `/v1/files/${String(json['id'])}/content`;
});
afterAll(() => gateway.stop());

const get = (headers: Record<string, string> = {}, method = 'GET') =>
  fetch(gateway.url + path, { method, headers: { authorization: `Bearer ${gateway.key}`, ...headers } });

describe('the content of a file', () => {
  test('comes whole, as bytes, with a length and a safe name', async () => {
    const response = await get();
    expect(response.status).toBe(200);
    expect(await response.text()).toBe(CONTENT);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': '10',
      'accept-ranges': 'bytes',
      etag: expect.stringMatching(/^"[0-9a-f]{64}"$/),
      'content-disposition': expect.stringMatching(/^attachment; filename=".*"; filename\*=UTF-8''w%C3%A9ird/),
    });
  });

  test.each([
    ['bytes=0-3', '0123', 'bytes 0-3/10'],
    ['bytes=8-', '89', 'bytes 8-9/10'],
    ['bytes=-2', '89', 'bytes 8-9/10'],
    ['bytes=-200', CONTENT, 'bytes 0-9/10'],
    ['bytes=5-500', '56789', 'bytes 5-9/10'],
  ])('comes in part for %s', async (range, expected, contentRange) => {
    const response = await get({ range });
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(contentRange);
    expect(response.headers.get('content-length')).toBe(String(expected.length));
    expect(await response.text()).toBe(expected);
  });

  test.each(['bytes=10-', 'bytes=500-600', 'bytes=-0'])('is 416 for %s', async (range) => {
    const response = await get({ range });
    expect(response.status).toBe(416);
    expect(response.headers.get('content-range')).toBe('bytes */10');
    expect(await response.json()).toMatchObject({ error: { code: 'range_not_satisfiable' } });
  });

  test.each(['bytes=0-1,4-5', 'lines=1-2', 'bytes=a-b', 'nonsense'])('comes whole for %s', async (range) => {
    const response = await get({ range });
    expect([response.status, await response.text()]).toEqual([200, CONTENT]);
  });

  test('honours If-Range', async () => {
    const etag = (await get({}, 'HEAD')).headers.get('etag')!;
    expect((await get({ range: 'bytes=0-1', 'if-range': etag })).status).toBe(206);
    expect((await get({ range: 'bytes=0-1', 'if-range': '"other"' })).status).toBe(200);
  });

  test('has the same headers for HEAD, and no body', async () => {
    const response = await get({}, 'HEAD');
    expect([response.status, response.headers.get('content-length'), await response.text()]).toEqual([200, '10', '']);
  });

  test('is cut, not ended, when the disk fails on the way', async () => {
    failReads = true;
    try {
      await expect(get().then((response) => response.text())).rejects.toThrow();
    } finally {
      failReads = false;
    }
  });

  test('that is gone though its row is there is a 500 with the request id', async () => {
    const { json } = await gateway.call('GET', path.replace('/content', ''));
    await gateway.repository.insert({
      id: 'file-rowwithoutbytes',
      workspaceId: 'ws_test',
      filename: 'a',
      purpose: 'user_data',
      sizeBytes: Number(json['bytes']),
      sha256: 'x',
    });
    const answer = await gateway.call('GET', '/v1/files/file-rowwithoutbytes/content');
    expect(answer.status).toBe(500);
    expect(answer.json.error).toMatchObject({
      code: 'file_content_missing',
      message: expect.stringContaining(answer.headers.get('x-request-id')!),
    });
  });
});
