import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FileStore } from '../files/file-store.js';
import { startTestGateway, type TestGateway } from './test-support/test-gateway.js';

const CONTENT = '0123456789';
let gateway: TestGateway;
let realStore: FileStore;
let path: string;
let failReads = false;
let damage: ((content: Readable) => Readable) | null = null;

beforeAll(async () => {
  gateway = await startTestGateway({
    wrapStore: (store) => ({
      ...(realStore = store),
      open: (id, range) => {
        if (damage !== null) return store.open(id, range).then(damage);
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

  test('that breaks on the way is told in the log', async () => {
    failReads = true;
    const before = gateway.logLines.length;
    try {
      await expect(get().then((response) => response.text())).rejects.toThrow();
    } finally {
      failReads = false;
    }
    await expect.poll(() => gateway.logLines.slice(before).join()).toContain('the disk broke');
  });

  test('that is damaged and small is a 500, and nothing of it is sent', async () => {
    damage = () => Readable.from([Buffer.from('012345678X')]);
    try {
      const answer = await gateway.call('GET', path);
      expect(answer.status).toBe(500);
      expect(answer.json.error).toMatchObject({ code: 'file_content_damaged' });
      expect(answer.headers.get('etag')).toBeNull();
      expect(answer.headers.get('content-disposition')).toBeNull();
    } finally {
      damage = null;
    }
  });

  test.each([
    ['another last byte', ['01234', '5678X']],
    ['too few bytes', ['01234', '5678']],
    ['too many bytes', ['01234', '56789', 'X']],
  ])('that is damaged with %s does not look complete, and is told in the log', async (_name, chunks) => {
    damage = () => Readable.from(chunks.map((chunk) => Buffer.from(chunk)));
    const before = gateway.logLines.length;
    try {
      const response = await get();
      expect(response.status).toBe(200);
      await expect(response.text()).rejects.toThrow();
      await expect.poll(() => gateway.logLines.slice(before).join()).toContain('file_content_damaged');
    } finally {
      damage = null;
    }
  });

  test('that is too short for a range does not look complete', async () => {
    damage = () => Readable.from([Buffer.from('01')]);
    try {
      await expect(get({ range: 'bytes=0-3' }).then((response) => response.text())).rejects.toThrow();
    } finally {
      damage = null;
    }
  });

  test('is closed in the store when the client leaves while the store is silent', async () => {
    const silent: Readable[] = [];
    damage = (content) => {
      content.destroy();
      silent.push(new Readable({ read: () => undefined }));
      return silent.at(-1)!;
    };
    try {
      const leaving = new AbortController();
      const answer = fetch(gateway.url + path, {
        headers: { authorization: `Bearer ${gateway.key}` },
        signal: leaving.signal,
      });
      answer.catch(() => undefined);
      await expect.poll(() => silent.length).toBe(1);
      leaving.abort();
      await expect.poll(() => silent[0]?.destroyed).toBe(true);
    } finally {
      damage = null;
    }
  });

  test('of several pieces is served as of one', async () => {
    const { database } = gateway.testDatabase;
    const pieces = ['0123', '45', '6789'];
    const upload = { workspaceId: 'ws_test', filename: 'p.csv', purpose: 'user_data', mimeType: 'text/csv' };
    await database
      .insertInto('uploads')
      .values({ ...upload, id: 'upload_pieces', sizeBytes: 10, status: 'completed', expiresAt: new Date() })
      .execute();
    for (const [position, text] of pieces.entries()) {
      const id = `part_piece${position}`;
      const stored = await realStore.put(id, Readable.from([Buffer.from(text)]), { maxBytes: 100 });
      await database
        .insertInto('uploadParts')
        .values({ id, uploadId: 'upload_pieces', position, ...stored })
        .execute();
    }
    const sha256 = createHash('sha256').update(CONTENT).digest('hex');
    await gateway.repository.insert({
      id: 'file-pieces',
      uploadId: 'upload_pieces',
      workspaceId: 'ws_test',
      filename: 'p.csv',
      purpose: 'user_data',
      sizeBytes: 10,
      sha256,
    });
    const url = `${gateway.url}/v1/files/file-pieces/content`;
    const headers = { authorization: `Bearer ${gateway.key}` };
    const whole = await fetch(url, { headers });
    expect([whole.status, whole.headers.get('etag'), await whole.text()]).toEqual([200, `"${sha256}"`, CONTENT]);
    const part = await fetch(url, { headers: { ...headers, range: 'bytes=3-6' } });
    expect([part.status, part.headers.get('content-range'), await part.text()]).toEqual([206, 'bytes 3-6/10', '3456']);
    const head = await fetch(url, { method: 'HEAD', headers });
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '10']);
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
