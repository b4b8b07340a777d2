import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startTestGateway, WORKSPACE, type TestGateway } from '../test-support/test-gateway.js';

const ROWS = '{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}\n';
let gateway: TestGateway;
let client: OpenAI;
let stranger: OpenAI;

beforeAll(async () => {
  gateway = await startTestGateway({ maxFileBytes: 1024 * 1024 });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.key, maxRetries: 0 });
  stranger = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.otherKey, maxRetries: 0 });
});
afterAll(() => gateway.stop());

const upload = async (name = 'train.jsonl', content = ROWS, purpose: OpenAI.FilePurpose = 'fine-tune') =>
  client.files.create({ file: await toFile(Buffer.from(content), name), purpose });

const form = (parts: readonly (readonly [string, string | Blob, string?])[]): FormData => {
  const data = new FormData();
  for (const [name, value, filename] of parts) {
    if (typeof value === 'string') data.append(name, value);
    else data.append(name, value, filename);
  }
  return data;
};
const blob = new Blob([ROWS]);
const refused = async (parts: Parameters<typeof form>[0]) => {
  const before = [...(await gateway.storedFiles())].sort();
  const answer = await gateway.call('POST', '/v1/files', { body: form(parts) });
  expect([...(await gateway.storedFiles())].sort()).toEqual(before);
  return answer;
};

describe('an upload', () => {
  test("answers with OpenAI's object, and get, list and content show the same", async () => {
    const file = await upload();
    expect(file).toEqual({
      id: expect.stringMatching(/^file-[a-z0-9]{24}$/),
      object: 'file',
      bytes: ROWS.length,
      created_at: expect.closeTo(Date.now() / 1000, -2),
      filename: 'train.jsonl',
      purpose: 'fine-tune',
      status: 'processed',
    });
    expect(Number.isInteger(file.created_at)).toBe(true);
    expect(await client.files.retrieve(file.id)).toEqual(file);
    expect((await client.files.list()).data).toContainEqual(file);
    expect(await (await client.files.content(file.id)).text()).toBe(ROWS);
    expect(await client.files.waitForProcessing(file.id)).toEqual(file);
  });

  test('takes its parts in any order', async () => {
    for (const parts of [
      [
        ['file', blob, 'a.jsonl'],
        ['purpose', 'fine-tune'],
      ],
      [
        ['purpose', 'fine-tune'],
        ['file', blob, 'a.jsonl'],
      ],
    ] as const) {
      expect(await gateway.call('POST', '/v1/files', { body: form(parts) })).toMatchObject({
        status: 200,
        json: { bytes: ROWS.length },
      });
    }
  });

  test('keeps the name as given, whatever the script, without its path', async () => {
    expect((await upload('zażółć 数据 🙂.jsonl')).filename).toBe('zażółć 数据 🙂.jsonl');
    const body = [
      '--b',
      'Content-Disposition: form-data; name="purpose"',
      '',
      'fine-tune',
      '--b',
      'Content-Disposition: form-data; name="file"; filename="C:\\\\x\\\\plain.jsonl"; filename*=UTF-8\'\'..%2F%C3%BC.jsonl',
      '',
      ROWS,
      '--b--',
      '',
    ].join('\r\n');
    const answer = await gateway.call('POST', '/v1/files', {
      body,
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
    });
    expect(answer.json['filename']).toBe('ü.jsonl');
  });

  test('may expire', async () => {
    const file = await client.files.create({
      file: await toFile(Buffer.from(ROWS), 'a.jsonl'),
      purpose: 'fine-tune',
      expires_after: { anchor: 'created_at', seconds: 3_600 },
    });
    expect(file.expires_at! - file.created_at).toBeGreaterThanOrEqual(3_599);
    expect(file.expires_at! - file.created_at).toBeLessThanOrEqual(3_601);
  });

  test('without a file, or without a purpose, is refused', async () => {
    expect(await refused([['purpose', 'fine-tune']])).toMatchObject({
      status: 400,
      json: { error: { message: "'file' is a required property" } },
    });
    expect(await refused([['file', blob, 'a.jsonl']])).toMatchObject({
      status: 400,
      json: { error: { message: "'purpose' is a required property" } },
    });
    expect(
      await refused([
        ['file', 'text'],
        ['purpose', 'fine-tune'],
      ]),
    ).toMatchObject({ status: 400, json: { error: { param: 'file' } } });
  });

  test('of another kind of file for fine-tuning is refused, before and after the content', async () => {
    for (const parts of [
      [
        ['purpose', 'fine-tune'],
        ['file', blob, 'a.csv'],
      ],
      [
        ['file', blob, 'a.csv'],
        ['purpose', 'fine-tune'],
      ],
    ] as const) {
      expect(await refused(parts)).toMatchObject({
        status: 400,
        json: {
          error: {
            message: 'Invalid file format for Fine-Tuning API. Must be .jsonl',
            type: 'invalid_request_error',
            param: null,
            code: null,
          },
        },
      });
    }
    expect((await upload('a.txt', ROWS, 'user_data')).purpose).toBe('user_data');
  });

  test.each([
    [
      'an unknown purpose',
      [
        ['purpose', 'fine-tune-results'],
        ['file', blob, 'a.jsonl'],
      ],
      'purpose',
    ],
    [
      'an unknown part',
      [
        ['file', blob, 'a.jsonl'],
        ['purpose', 'fine-tune'],
        ['extra', '1'],
      ],
      'extra',
    ],
    [
      'an unknown file part',
      [
        ['file', blob, 'a.jsonl'],
        ['other', blob, 'b.jsonl'],
        ['purpose', 'fine-tune'],
      ],
      'other',
    ],
    [
      'a second file',
      [
        ['file', blob, 'a.jsonl'],
        ['file', blob, 'b.jsonl'],
        ['purpose', 'fine-tune'],
      ],
      'file',
    ],
    [
      'a second purpose',
      [
        ['file', blob, 'a.jsonl'],
        ['purpose', 'fine-tune'],
        ['purpose', 'batch'],
      ],
      'purpose',
    ],
    [
      'an expiry that is too short',
      [
        ['file', blob, 'a.jsonl'],
        ['purpose', 'fine-tune'],
        ['expires_after[anchor]', 'created_at'],
        ['expires_after[seconds]', '60'],
      ],
      'expires_after[seconds]',
    ],
    [
      'an expiry without an anchor',
      [
        ['file', blob, 'a.jsonl'],
        ['purpose', 'fine-tune'],
        ['expires_after[seconds]', '3600'],
      ],
      'expires_after[anchor]',
    ],
    [
      'an empty file',
      [
        ['file', new Blob([]), 'a.jsonl'],
        ['purpose', 'fine-tune'],
      ],
      'file',
    ],
  ] as const)('with %s is refused by name and leaves nothing', async (_name, parts, param) => {
    expect(await refused(parts)).toMatchObject({
      status: 400,
      json: { error: { type: 'invalid_request_error', param } },
    });
  });

  test('over the limit is 413 and leaves nothing', async () => {
    const large = new Blob(['x'.repeat(1024 * 1024 + 1)]);
    const tooLarge = { status: 413, json: { error: { code: 'payload_too_large', param: 'file' } } };
    expect(
      await refused([
        ['purpose', 'batch'],
        ['file', large, 'a.jsonl'],
      ]),
    ).toMatchObject(tooLarge);
    expect(
      await refused([
        ['file', new Blob([' '.repeat(20 * 1024 * 1024)]), 'a.jsonl'],
        ['purpose', 'batch'],
      ]),
    ).toMatchObject(tooLarge);
    expect(
      await gateway.call('POST', '/v1/files', {
        body: form([
          ['purpose', 'batch'],
          ['file', new Blob(['x'.repeat(1024 * 1024)]), 'a'],
        ]),
      }),
    ).toMatchObject({ status: 200 });
  });

  test('that is no form is 415, and a broken form 400', async () => {
    expect((await gateway.call('POST', '/v1/files', { body: { file: 'x' } })).status).toBe(415);
    const headers = { 'content-type': 'multipart/form-data' };
    expect((await gateway.call('POST', '/v1/files', { body: 'x', headers })).status).toBe(400);
    const cut = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\nabc';
    const answer = await gateway.call('POST', '/v1/files', {
      body: cut,
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
    });
    expect(answer).toMatchObject({
      status: 400,
      json: { error: { message: expect.stringContaining('Unexpected end of form') } },
    });
  });
});

describe('a file', () => {
  test('that is unknown, or of another workspace, is 404 in every call', async () => {
    const { id } = await upload();
    for (const [key, unknown] of [
      [gateway.key, 'file-doesnotexist'],
      [gateway.otherKey, id],
      [gateway.key, 'file-..%2f..%2fetc'],
    ] as const) {
      for (const [method, path] of [
        ['GET', ''],
        ['DELETE', ''],
        ['GET', '/content'],
      ] as const) {
        const answer = await gateway.call(method, `/v1/files/${unknown}${path}`, { key });
        expect(answer.status).toBe(404);
        expect(answer.json.error).toEqual({
          message: `No such File object: ${decodeURIComponent(unknown)}`,
          type: 'invalid_request_error',
          param: 'id',
          code: null,
        });
      }
    }
    await expect(stranger.files.retrieve(id)).rejects.toBeInstanceOf(OpenAI.NotFoundError);
  });

  test('is deleted with its content', async () => {
    const { id } = await upload();
    expect(await gateway.storedFiles()).toContain(id);
    expect(await client.files.delete(id)).toEqual({ id, object: 'file', deleted: true });
    expect(await gateway.storedFiles()).not.toContain(id);
    await expect(client.files.delete(id)).rejects.toMatchObject({ status: 404 });
  });

  test('that an open job needs is not deleted, and can be when the job has ended', async () => {
    const { database } = gateway.testDatabase;
    for (const column of ['trainingFile', 'validationFile'] as const) {
      const { id } = await upload();
      const jobId = `ftjob-${column.toLowerCase()}`;
      await database
        .insertInto('jobs')
        .values({
          id: jobId,
          workspaceId: WORKSPACE,
          apiKeyId: 'key_1',
          provider: 'openai',
          virtualKeyId: 'vk_1',
          virtualKeySlug: 'sandbox',
          sandbox: true,
          request: '{}',
          requestHash: 'x',
          trainingFile: column === 'trainingFile' ? id : 'file-other',
          validationFile: column === 'validationFile' ? id : null,
          status: 'running',
          phase: 'waiting',
          resultFiles: '[]',
          remoteFiles: '{}',
        })
        .execute();
      await expect(client.files.delete(id)).rejects.toMatchObject({ status: 409, code: 'file_in_use' });
      expect(await (await client.files.content(id)).text()).toBe(ROWS);
      await database.updateTable('jobs').set({ status: 'succeeded' }).where('id', '=', jobId).execute();
      expect(await client.files.delete(id)).toMatchObject({ deleted: true });
    }
  });

  test('past its expiry is gone from every answer', async () => {
    const { id } = await upload();
    await gateway.testDatabase.database
      .updateTable('files')
      .set({ expiresAt: new Date(0) })
      .where('id', '=', id)
      .execute();
    await expect(client.files.retrieve(id)).rejects.toMatchObject({ status: 404 });
    expect((await client.files.list()).data.map((file) => file.id)).not.toContain(id);
  });

  test('for assistants is not given out, in the words of OpenAI', async () => {
    const { id } = await upload('a.txt', ROWS, 'assistants');
    await expect(client.files.content(id)).rejects.toMatchObject({
      status: 400,
      message: expect.stringContaining('Not allowed to download files of purpose: assistants'),
    });
  });
});
