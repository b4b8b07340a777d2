import { createHash, randomBytes } from 'node:crypto';
import OpenAI, { toFile } from 'openai';
import { sql } from 'kysely';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadOpenAiSchemas } from '../../../test/support/openai-schema.js';
import { startTestGateway, type Answer, type TestGateway } from '../test-support/test-gateway.js';

const HOUR_SECONDS = 3_600;
const PART_LIMIT = 100_000;
const schemas = loadOpenAiSchemas();
let gateway: TestGateway;
let client: OpenAI;

beforeAll(async () => {
  gateway = await startTestGateway({ maxPartBytes: PART_LIMIT, maxUploadBytes: 5_000_000 });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.key, maxRetries: 0 });
});
afterAll(() => gateway.stop());

const description = (bytes: number) => ({
  filename: 'train.jsonl',
  purpose: 'fine-tune' as const,
  bytes,
  mime_type: 'text/jsonl',
});
const newUpload = (bytes: number) => client.uploads.create(description(bytes));
const addPart = async (uploadId: string, content: Uint8Array | string) =>
  client.uploads.parts.create(uploadId, { data: await toFile(Buffer.from(content), 'part') });
const post = (path: string, body?: unknown): Promise<Answer> =>
  gateway.call('POST', `/v1/uploads${path}`, body === undefined ? {} : { body });
const form = (parts: readonly (readonly [string, string | Blob])[]): FormData => {
  const data = new FormData();
  for (const [name, value] of parts) data.append(name, value);
  return data;
};
const contentOf = async (fileId: string): Promise<Buffer> =>
  Buffer.from(await (await client.files.content(fileId)).arrayBuffer());
const expireNow = async (uploadId: string, overForMinutes = 0): Promise<void> => {
  await gateway.testDatabase.database
    .updateTable('uploads')
    .set({ expiresAt: sql<Date>`now() - make_interval(mins => ${overForMinutes})` })
    .where('id', '=', uploadId)
    .execute();
};
const partsIn = async (ids: readonly string[]): Promise<readonly string[]> => {
  const stored = await gateway.storedFiles();
  return ids.filter((id) => stored.some((name) => name.startsWith(id)));
};

describe('an upload', () => {
  test("has OpenAI's object in every state, and expires an hour after it was made", async () => {
    const created = await post('', description(4));
    expect(created.status).toBe(200);
    expect(created.json).toEqual({
      id: expect.stringMatching(/^upload_[a-z0-9]{24}$/),
      object: 'upload',
      bytes: 4,
      created_at: expect.closeTo(Date.now() / 1000, -2),
      filename: 'train.jsonl',
      purpose: 'fine-tune',
      status: 'pending',
      expires_at: Number(created.json['created_at']) + HOUR_SECONDS,
      file: null,
    });
    expect(schemas.problems('Upload', created.json)).toEqual([]);
    const id = String(created.json['id']);
    const part = await post(`/${id}/parts`, form([['data', new Blob(['{}\n\n'])]]));
    expect(part.json).toEqual({
      id: expect.stringMatching(/^part_[a-z0-9]{24}$/),
      object: 'upload.part',
      created_at: expect.closeTo(Date.now() / 1000, -2),
      upload_id: id,
    });
    expect(schemas.problems('UploadPart', part.json)).toEqual([]);
    const completed = await post(`/${id}/complete`, { part_ids: [part.json['id']] });
    expect(schemas.problems('Upload', completed.json)).toEqual([]);
    const file = { id: expect.stringMatching(/^file-/), object: 'file', bytes: 4, filename: 'train.jsonl' };
    expect(completed.json).toMatchObject({
      ...created.json,
      status: 'completed',
      file: { ...file, purpose: 'fine-tune', status: 'processed' },
    });
    const cancelled = await post(`/${(await newUpload(4)).id}/cancel`);
    expect(schemas.problems('Upload', cancelled.json)).toEqual([]);
    expect(cancelled.json).toMatchObject({ status: 'cancelled', file: null });
  });

  test('becomes a file like any other, of its parts in the order of the complete', async () => {
    const content = randomBytes(160_000);
    const bounds = [0, 1, 40_000, 40_001, 110_000, content.length];
    const pieces = bounds.slice(1).map((end, index) => content.subarray(bounds[index], end));
    const upload = await client.uploads.create({
      ...description(content.length),
      expires_after: { anchor: 'created_at', seconds: 7_200 },
    });
    const parts = await Promise.all(pieces.toReversed().map((piece) => addPart(upload.id, piece)));
    const unused = await addPart(upload.id, 'never named');
    const partIds = parts.toReversed().map(({ id }) => id);
    const md5 = createHash('md5').update(content).digest('hex');
    const completed = await client.uploads.complete(upload.id, { part_ids: partIds, md5: md5.toUpperCase() });

    const file = completed.file!;
    expect(file.expires_at).toBe(file.created_at + 7_200);
    expect(await client.files.retrieve(file.id)).toEqual(file);
    expect((await client.files.list()).data).toContainEqual(file);
    expect((await contentOf(file.id)).equals(content)).toBe(true);
    const range = await fetch(`${gateway.url}/v1/files/${file.id}/content`, {
      headers: { authorization: `Bearer ${gateway.key}`, range: 'bytes=39999-110000' },
    });
    expect(range.status).toBe(206);
    expect(Buffer.from(await range.arrayBuffer()).equals(content.subarray(39_999, 110_001))).toBe(true);

    expect(await partsIn([...partIds, unused.id])).toEqual(partIds);
    await client.files.delete(file.id);
    expect(await partsIn(partIds)).toEqual([]);
  });

  test('takes a part as a plain field, as curl sends it', async () => {
    const content = 'zaż\n';
    const upload = await newUpload(Buffer.byteLength(content));
    // By hand: `fetch` writes the line ends of a field in its own way.
    const field = await gateway.call('POST', `/v1/uploads/${upload.id}/parts`, {
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
      body: ['--b', 'Content-Disposition: form-data; name="data"', '', content, '--b--', ''].join('\r\n'),
    });
    const { file } = await client.uploads.complete(upload.id, { part_ids: [String(field.json['id'])] });
    expect((await contentOf(file!.id)).toString()).toBe(content);
  });

  test('takes every purpose that a file has', async () => {
    for (const purpose of ['assistants', 'batch', 'fine-tune', 'vision', 'user_data', 'evals'] as const) {
      expect((await client.uploads.create({ ...description(1), purpose })).purpose).toBe(purpose);
    }
    expect((await client.uploads.create({ ...description(1), purpose: 'vision', filename: 'a.png' })).filename).toBe(
      'a.png',
    );
  });

  test('cannot be shown: OpenAI has no call for it', async () => {
    const { id } = await newUpload(4);
    expect(await gateway.call('GET', `/v1/uploads/${id}`)).toMatchObject({
      status: 404,
      json: { error: { code: 'unknown_url' } },
    });
    const listed = await gateway.call('GET', '/v1/uploads');
    expect([listed.status, listed.headers.get('allow')]).toEqual([405, 'POST, OPTIONS']);
  });
});

describe('creating an upload', () => {
  test.each([
    ['an unknown key', { chunk_size: 1 }, 'unknown_parameter', 'chunk_size'],
    [
      'an unknown key of the expiry',
      { expires_after: { anchor: 'created_at', seconds: 3_600, x: 1 } },
      'unknown_parameter',
      'expires_after.x',
    ],
    ['no filename', { filename: undefined }, null, 'filename'],
    ['a blank filename', { filename: '' }, null, 'filename'],
    ['a filename with a line break', { filename: 'a\n.jsonl' }, null, 'filename'],
    ['no purpose', { purpose: undefined }, null, 'purpose'],
    ['a purpose that is none', { purpose: 'fine-tune-results' }, null, 'purpose'],
    ['no bytes', { bytes: undefined }, null, 'bytes'],
    ['a size of 0', { bytes: 0 }, null, 'bytes'],
    ['half a byte', { bytes: 1.5 }, null, 'bytes'],
    ['a size as text', { bytes: '5' }, null, 'bytes'],
    ['no MIME type', { mime_type: undefined }, null, 'mime_type'],
    ['another anchor', { expires_after: { anchor: 'now', seconds: 3_600 } }, null, 'expires_after.anchor'],
    ['too short a life', { expires_after: { anchor: 'created_at', seconds: 3_599 } }, null, 'expires_after.seconds'],
    ['too long a life', { expires_after: { anchor: 'created_at', seconds: 2_592_001 } }, null, 'expires_after.seconds'],
  ])('is refused with %s', async (_, change, code, param) => {
    const answer = await post('', { ...description(4), ...change });
    expect(answer).toMatchObject({ status: 400, json: { error: { code, param, type: 'invalid_request_error' } } });
    expect(schemas.problems('ErrorResponse', answer.json)).toEqual([]);
  });

  test('is refused for what fine-tuning does not take, and for more bytes than an upload may have', async () => {
    expect(await post('', { ...description(4), filename: 'train.csv' })).toMatchObject({
      status: 400,
      json: { error: { message: 'Invalid file format for Fine-Tuning API. Must be .jsonl', code: null } },
    });
    expect((await post('', description(5_000_000))).status).toBe(200);
    expect(await post('', description(5_000_001))).toMatchObject({
      status: 413,
      json: { error: { code: 'payload_too_large', param: 'bytes' } },
    });
  });
});

describe('a part', () => {
  test.each([
    ['with another name', [['file', new Blob(['x'])]], 400, 'unknown_parameter', 'file'],
    [
      'with a field beside it',
      [
        ['data', new Blob(['x'])],
        ['purpose', 'fine-tune'],
      ],
      400,
      'unknown_parameter',
      'purpose',
    ],
    [
      'given twice',
      [
        ['data', new Blob(['x'])],
        ['data', new Blob(['y'])],
      ],
      400,
      null,
      'data',
    ],
    [
      'given as file and as field',
      [
        ['data', new Blob(['x'])],
        ['data', 'y'],
      ],
      400,
      null,
      'data',
    ],
    ['that is missing', [], 400, null, 'data'],
    ['that is empty', [['data', new Blob([])]], 400, null, 'data'],
    ['over the limit', [['data', new Blob([Buffer.alloc(PART_LIMIT + 1)])]], 413, 'payload_too_large', 'data'],
    ['far over the limit', [['data', new Blob([Buffer.alloc(1_000_000)])]], 413, 'payload_too_large', 'data'],
    ['as a field that is no text', [['data', 'a\ufffdb']], 400, null, 'data'],
    ['as a field that is too long for one', [['data', 'x'.repeat(70_000)]], 413, 'payload_too_large', null],
  ] as const)('%s is refused, and nothing of it stays', async (_, parts, status, code, param) => {
    const upload = await newUpload(100);
    const before = [...(await gateway.storedFiles())].sort();
    const answer = await post(`/${upload.id}/parts`, form(parts));
    expect(answer).toMatchObject({ status, json: { error: { code, param } } });
    expect([...(await gateway.storedFiles())].sort()).toEqual(before);
  });

  test('is a form', async () => {
    const { id } = await newUpload(4);
    expect((await post(`/${id}/parts`, { data: 'x' })).status).toBe(415);
  });

  test('of the largest size fits, and an upload holds each part twice and one more, not endless ones', async () => {
    const upload = await newUpload(PART_LIMIT);
    const content = Buffer.alloc(PART_LIMIT, 'x');
    for (let count = 0; count < 3; count += 1) await addPart(upload.id, content);
    const before = (await gateway.storedFiles()).length;
    await expect(addPart(upload.id, 'x')).rejects.toMatchObject({ status: 413, code: 'payload_too_large' });
    expect(await gateway.storedFiles()).toHaveLength(before);
    expect((await client.uploads.cancel(upload.id)).status).toBe('cancelled');
  });
});

describe('completing', () => {
  test.each([
    ['an unknown key', { part_ids: ['p'], order: 1 }, 'unknown_parameter', 'order'],
    ['no parts', {}, null, 'part_ids'],
    ['an empty list', { part_ids: [] }, null, 'part_ids'],
    ['ids that are no text', { part_ids: [1] }, null, 'part_ids[0]'],
    ['an MD5 that is none', { part_ids: ['p'], md5: 'x' }, null, 'md5'],
    ['a part that is not there', { part_ids: ['part_unknown'] }, null, 'part_ids[0]'],
  ])('is refused with %s', async (_, body, code, param) => {
    const { id } = await newUpload(4);
    expect(await post(`/${id}/complete`, body)).toMatchObject({ status: 400, json: { error: { code, param } } });
  });

  test('is refused with a part twice, with one of another upload, with other bytes than announced, and can be said anew', async () => {
    const upload = await newUpload(4);
    const [one, other, foreign] = [
      await addPart(upload.id, 'ab'),
      await addPart(upload.id, 'cd'),
      await addPart((await newUpload(2)).id, 'cd'),
    ];
    const complete = (partIds: readonly { readonly id: string }[], md5?: string) =>
      post(`/${upload.id}/complete`, { part_ids: partIds.map(({ id }) => id), md5 });
    expect((await complete([one, one])).json.error).toMatchObject({ param: 'part_ids[1]' });
    expect((await complete([one, foreign])).json.error).toMatchObject({ param: 'part_ids[1]' });
    expect((await complete([one])).json.error).toMatchObject({
      param: 'part_ids',
      message: 'The named parts have 2 bytes together, and the upload was created for 4 bytes.',
    });
    const wrong = await complete([one, other], createHash('md5').update('cdab').digest('hex'));
    expect(wrong).toMatchObject({ status: 400, json: { error: { param: 'md5' } } });
    const done = await complete([one, other], createHash('md5').update('abcd').digest('hex'));
    expect(done).toMatchObject({ status: 200, json: { status: 'completed' } });
  });

  test('said again with the same parts answers the same; with other parts, or another MD5, it is refused', async () => {
    const upload = await newUpload(4);
    const parts = [await addPart(upload.id, 'ab'), await addPart(upload.id, 'cd')].map(({ id }) => id);
    const md5 = createHash('md5').update('abcd').digest('hex');
    const done = await client.uploads.complete(upload.id, { part_ids: parts, md5 });
    expect(await client.uploads.complete(upload.id, { part_ids: parts, md5 })).toEqual(done);
    expect(await client.uploads.complete(upload.id, { part_ids: parts })).toEqual(done);
    for (const body of [{ part_ids: parts.toReversed() }, { part_ids: parts, md5: md5.replace(/./g, '0') }]) {
      expect(await post(`/${upload.id}/complete`, body)).toMatchObject({
        status: 400,
        json: {
          error: { code: null, message: `The upload ${upload.id} is completed; only a pending upload can be changed.` },
        },
      });
    }
    await client.files.delete(done.file!.id);
    expect((await post(`/${upload.id}/complete`, { part_ids: parts })).status).toBe(400);
  });
});

describe('an upload that has ended', () => {
  test('by cancel has lost its parts and takes nothing more; a repeated cancel answers the same', async () => {
    const upload = await newUpload(4);
    const part = await addPart(upload.id, 'abcd');
    const cancelled = await client.uploads.cancel(upload.id);
    expect(await client.uploads.cancel(upload.id)).toEqual(cancelled);
    expect(await partsIn([part.id])).toEqual([]);
    await expect(addPart(upload.id, 'abcd')).rejects.toMatchObject({ status: 400, code: null });
    await expect(client.uploads.complete(upload.id, { part_ids: [part.id] })).rejects.toMatchObject({ status: 400 });
  });

  test('by complete takes no part and no cancel', async () => {
    const upload = await newUpload(4);
    const part = await addPart(upload.id, 'abcd');
    const { file } = await client.uploads.complete(upload.id, { part_ids: [part.id] });
    await expect(addPart(upload.id, 'abcd')).rejects.toMatchObject({ status: 400 });
    await expect(client.uploads.cancel(upload.id)).rejects.toMatchObject({ status: 400, code: null });
    expect((await contentOf(file!.id)).toString()).toBe('abcd');
  });

  test('by time takes nothing more, and its parts are removed a while later', async () => {
    const [upload, young] = [await newUpload(4), await newUpload(4)];
    const part = await addPart(upload.id, 'abcd');
    const kept = await addPart(young.id, 'abcd');
    await expireNow(upload.id, 14);
    for (const attempt of [
      () => addPart(upload.id, 'abcd'),
      () => client.uploads.complete(upload.id, { part_ids: [part.id] }),
      () => client.uploads.cancel(upload.id),
    ]) {
      await expect(attempt()).rejects.toMatchObject({ status: 400, message: expect.stringContaining('is expired') });
    }
    expect(await gateway.uploads.removeExpired()).toBe(0);
    expect(await partsIn([part.id, kept.id])).toEqual([part.id, kept.id]);
    await expireNow(upload.id, 16);
    expect(await gateway.uploads.removeExpired()).toBe(1);
    expect(await partsIn([part.id, kept.id])).toEqual([kept.id]);
    await expect(client.uploads.cancel(upload.id)).rejects.toMatchObject({ status: 400 });
    expect(await gateway.uploads.removeExpired()).toBe(0);
  });

  test('by complete keeps its parts, however long ago its hour was over', async () => {
    const upload = await newUpload(4);
    const part = await addPart(upload.id, 'abcd');
    const done = await client.uploads.complete(upload.id, { part_ids: [part.id] });
    await expireNow(upload.id, 600);
    await gateway.uploads.removeExpired();
    expect((await contentOf(done.file!.id)).toString()).toBe('abcd');
    expect((await client.uploads.complete(upload.id, { part_ids: [part.id] })).status).toBe('completed');
  });
});

describe('who may', () => {
  test('is the workspace that made the upload; for others it does not exist', async () => {
    const upload = await newUpload(4);
    const part = await addPart(upload.id, 'abcd');
    for (const [id, key] of [
      [upload.id, gateway.otherKey],
      ['upload_unknown', gateway.key],
      ['file-abc', gateway.key],
    ] as const) {
      const stored = (await gateway.storedFiles()).length;
      for (const [action, body] of [
        ['parts', form([['data', new Blob(['x'])]])],
        ['complete', { part_ids: [part.id] }],
        ['cancel', undefined],
      ] as const) {
        const answer = await gateway.call('POST', `/v1/uploads/${id}/${action}`, { key, ...(body && { body }) });
        expect(answer).toMatchObject({
          status: 404,
          json: { error: { message: `No such Upload object: ${id}`, param: 'upload_id', code: null } },
        });
      }
      expect(await gateway.storedFiles()).toHaveLength(stored);
    }
    expect((await client.uploads.complete(upload.id, { part_ids: [part.id] })).status).toBe('completed');
  });

  test('is nobody without a key, and no call in client mode', async () => {
    expect((await gateway.call('POST', '/v1/uploads', { body: description(4), key: null })).status).toBe(401);
    const headers = { 'x-portkey-provider': 'openai' };
    for (const path of ['', '/upload_x/parts', '/upload_x/complete', '/upload_x/cancel']) {
      expect(await gateway.call('POST', `/v1/uploads${path}`, { body: {}, headers })).toMatchObject({
        status: 400,
        json: { error: { code: 'unsupported_operation' } },
      });
    }
  });
});
