import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { Router } from 'express';
import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { preflight, type PreflightOptions, type PreflightReport } from '../../datasets/index.js';
import type { FilePreflightDependencies } from '../file-preflight.js';
import { startTestGateway, WORKSPACE, type TestGateway } from '../test-support/test-gateway.js';

const ROW = '{"messages":[{"role":"user","content":"hi"},{"role":"assistant","content":"hello"}]}';
const ROWS = Array.from({ length: 10 }, (_, index) => ROW.replace('hi', `hi ${index}`)).join('\n');
const REPORT: PreflightReport = {
  role: 'validation',
  method: 'dpo',
  format: 'preference',
  sizeBytes: 1_000,
  rowCount: 7,
  errorCount: 1,
  errors: [
    {
      check: 'unknown_role',
      line: 2,
      column: 9,
      path: 'a.b',
      found: '1',
      expected: '2',
      message: 'no',
      excerpt: { text: 'abc', caret: 1 },
    },
  ],
  warningCount: 1,
  warnings: [{ check: 'duplicate_rows', line: null, column: null, path: '', found: '1', expected: '2', message: 'hm' }],
  roles: { user: 7 },
  imageRowCount: 1,
  imageCount: 2,
  duplicateRowCount: 3,
  duplicatesAreAtLeast: true,
  tokens: {
    method: 'exact',
    encoding: 'o200k_base',
    minimum: 1,
    median: 2,
    maximum: 3,
    total: 20,
    limit: 65_536,
    overLimitRowCount: 4,
    epochs: 2,
    trainedTotal: 40,
  },
};

/** A pass that is under way: the test ends it. */
interface Pass {
  readonly signal: AbortSignal;
  end(): void;
}

let gateway: TestGateway;
let client: OpenAI;
let stranger: OpenAI;
let check: FilePreflightDependencies['preflight'];
/** Of the last request. */
let socket: Socket;
let idleTimeoutAtEnd: number | undefined;
let openContent: ((id: string) => Readable) | null;

beforeAll(async () => {
  gateway = await startTestGateway({
    preflight: { preflight: (...given) => check(...given), maxRowBytes: 4_096, maxDatasetRows: 1_000 },
    wrapStore: (store) => ({
      ...store,
      open: (id, range) => (openContent === null ? store.open(id, range) : Promise.resolve(openContent(id))),
    }),
    app: {
      publicRouters: [
        Router().use((request, response, next) => {
          socket = request.socket;
          socket.setTimeout(60_000);
          response.once('finish', () => {
            idleTimeoutAtEnd = request.socket.timeout;
          });
          next();
        }),
      ],
    },
  });
  client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.key, maxRetries: 0 });
  stranger = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: gateway.otherKey, maxRetries: 0 });
});
afterAll(() => gateway.stop());
beforeEach(() => {
  check = preflight;
  openContent = null;
});

const upload = async (content = ROWS, purpose: OpenAI.FilePurpose = 'fine-tune', as = client): Promise<string> =>
  (await as.files.create({ file: await toFile(Buffer.from(content), 'train.jsonl'), purpose })).id;
const post = (id: string, body?: unknown) =>
  gateway.call('POST', `/v1/files/${id}/preflight`, body === undefined ? {} : { body });

/** Passes that last until the test ends them. */
function holdPasses(): readonly Pass[] {
  const passes: Pass[] = [];
  check = (_content, _options, signal) =>
    new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('the pass was told to stop')));
      passes.push({ signal, end: () => resolve(REPORT) });
    });
  return passes;
}

/** A call whose client can leave. */
function open(id: string): { readonly request: ClientRequest; readonly answer: Promise<IncomingMessage> } {
  const request = httpRequest(`${gateway.url}/v1/files/${id}/preflight`, {
    method: 'POST',
    agent: false,
    headers: { Authorization: `Bearer ${gateway.key}` },
  });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    request.once('response', resolve).once('error', reject);
  });
  answer.catch(() => undefined);
  request.end();
  return { request, answer };
}

describe('the answer', () => {
  test('is the report, in snake_case', async () => {
    check = () => Promise.resolve(REPORT);
    const id = await upload();
    expect(await post(id)).toMatchObject({ status: 200 });
    expect((await post(id)).json).toEqual({
      object: 'file.preflight',
      file_id: id,
      valid: false,
      method: 'dpo',
      role: 'validation',
      format: 'preference',
      bytes: 1_000,
      row_count: 7,
      error_count: 1,
      errors: [
        {
          check: 'unknown_role',
          line: 2,
          column: 9,
          path: 'a.b',
          found: '1',
          expected: '2',
          message: 'no',
          excerpt: { text: 'abc', caret: 1 },
        },
      ],
      warning_count: 1,
      warnings: [
        { check: 'duplicate_rows', line: null, column: null, path: '', found: '1', expected: '2', message: 'hm' },
      ],
      roles: { user: 7 },
      image_row_count: 1,
      image_count: 2,
      duplicate_row_count: 3,
      duplicates_are_at_least: true,
      tokens: {
        method: 'exact',
        encoding: 'o200k_base',
        minimum: 1,
        median: 2,
        maximum: 3,
        total: 20,
        limit: 65_536,
        over_limit_row_count: 4,
        n_epochs: 2,
        trained_total: 40,
      },
    });
  });

  test('is 200 for a good file and for a bad one, whose lines it shows', async () => {
    expect(await post(await upload())).toMatchObject({
      status: 200,
      json: { valid: true, format: 'chat', row_count: 10, error_count: 0, errors: [], bytes: ROWS.length },
    });
    expect(await post(await upload(ROWS.replace('"role":"assistant"', '"role":"assistent"')))).toMatchObject({
      status: 200,
      json: {
        valid: false,
        errors: expect.arrayContaining([
          expect.objectContaining({
            check: 'unknown_role',
            line: 1,
            path: 'messages[1].role',
            excerpt: expect.objectContaining({ text: expect.stringContaining('"assistent"') }),
          }),
        ]),
      },
    });
  });

  test('is of the job that the body describes, within the limits of the configuration', async () => {
    const seen: PreflightOptions[] = [];
    check = (_content, options) => {
      seen.push(options);
      return Promise.resolve(REPORT);
    };
    const id = await upload();
    const body = { method: 'dpo', role: 'validation', model: 'gpt-4.1-mini', n_epochs: 3, exact_tokens: true };
    await post(id, body);
    const limits = { maxRowBytes: 4_096, maximumRows: 1_000, excerpts: true };
    expect(seen).toEqual([
      { method: 'dpo', role: 'validation', model: 'gpt-4.1-mini', epochs: 3, exactTokens: true, ...limits },
    ]);
    for (const empty of [undefined, {}, { method: null, role: null, model: '', n_epochs: 'auto', exact_tokens: null }])
      expect((await post(id, empty)).status).toBe(200);
    const byDefault = { method: 'supervised', role: 'training', exactTokens: false, ...limits };
    expect(seen.slice(1)).toEqual([byDefault, byDefault, byDefault]);
  });
});

describe('a call is refused', () => {
  test.each([
    [{ methods: 'dpo' }, 'unknown_parameter', 'methods'],
    [{ max_row_bytes: 1 }, 'unknown_parameter', 'max_row_bytes'],
    [{ method: 'ppo' }, null, 'method'],
    [{ role: 'test' }, null, 'role'],
    [{ model: 1 }, null, 'model'],
    [{ n_epochs: 0 }, null, 'n_epochs'],
    [{ n_epochs: 1.5 }, null, 'n_epochs'],
    [{ n_epochs: '3' }, null, 'n_epochs'],
    [{ exact_tokens: 'yes' }, null, 'exact_tokens'],
  ])('with %j', async (body, code, param) => {
    expect(await post(await upload(), body)).toMatchObject({ status: 400, json: { error: { code, param } } });
  });

  test('whose body is not a JSON object', async () => {
    const id = await upload();
    const send = (body: string, type: string) =>
      gateway.call('POST', `/v1/files/${id}/preflight`, { body, headers: { 'Content-Type': type } });
    expect(await send('{"method":', 'application/json')).toMatchObject({ status: 400 });
    expect(await send('[]', 'application/json')).toMatchObject({ status: 400 });
    expect(await send('method=dpo', 'application/x-www-form-urlencoded')).toMatchObject({ status: 415 });
  });

  test('for a file that is unknown, of another workspace, or expired', async () => {
    const foreign = await upload(ROWS, 'fine-tune', stranger);
    const expired = await upload();
    await gateway.testDatabase.database
      .updateTable('files')
      .set({ expiresAt: new Date(Date.now() - 1_000) })
      .where('id', '=', expired)
      .where('workspaceId', '=', WORKSPACE)
      .executeTakeFirstOrThrow();
    for (const id of ['file-unknown', 'nonsense', '..%2F', foreign, expired]) {
      expect(await post(id)).toMatchObject({ status: 404, json: { error: { type: 'invalid_request_error' } } });
    }
    expect((await gateway.call('POST', `/v1/files/${foreign}/preflight`, { key: gateway.otherKey })).status).toBe(200);
  });

  test('for a file of another purpose', async () => {
    expect(await post(await upload(ROWS, 'batch'))).toMatchObject({
      status: 400,
      json: { error: { message: expect.stringContaining("'batch'"), type: 'invalid_request_error' } },
    });
  });

  test('in client mode, without a key, and with another method', async () => {
    const path = `/v1/files/${await upload()}/preflight`;
    expect(await gateway.call('POST', path, { headers: { 'x-portkey-provider': 'openai' } })).toMatchObject({
      status: 400,
      json: { error: { code: 'unsupported_operation' } },
    });
    expect((await gateway.call('POST', path, { key: null })).status).toBe(401);
    const get = await gateway.call('GET', path);
    expect(get.status).toBe(405);
    expect(get.headers.get('allow')).toBe('POST, OPTIONS');
  });
});

describe('passes', () => {
  test('are two at once; the others wait their turn', async () => {
    const passes = holdPasses();
    const id = await upload();
    const answers = [post(id), post(id), post(id), post(id)];
    await expect.poll(() => gateway.filePreflight.waiting()).toBe(2);
    expect(passes).toHaveLength(2);
    passes[0]?.end();
    await expect.poll(() => passes.length).toBe(3);
    expect(gateway.filePreflight.waiting()).toBe(1);
    passes[1]?.end();
    await expect.poll(() => passes.length).toBe(4);
    for (const pass of passes) pass.end();
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
  });

  test('stop when their client leaves, and so does its waiting', async () => {
    const passes = holdPasses();
    const id = await upload();
    const [first, second] = [open(id), open(id)];
    await expect.poll(() => passes.length).toBe(2);
    const third = open(id);
    await expect.poll(() => gateway.filePreflight.waiting()).toBe(1);
    third.request.destroy();
    await expect.poll(() => gateway.filePreflight.waiting()).toBe(0);
    first.request.destroy();
    await expect.poll(() => passes.filter(({ signal }) => signal.aborted)).toHaveLength(1);
    const fourth = post(id);
    await expect.poll(() => passes.length).toBe(3);
    for (const pass of passes) pass.end();
    expect((await fourth).status).toBe(200);
    expect((await second.answer).statusCode).toBe(200);
  });

  test('stop also where the content hangs, which is closed', async () => {
    const id = await upload();
    const hanging = new Readable({ read: () => undefined });
    openContent = () => hanging;
    const { request } = open(id);
    await expect.poll(() => hanging.listenerCount('readable')).toBeGreaterThan(0);
    request.destroy();
    await expect.poll(() => hanging.destroyed).toBe(true);
  });

  test('of a file that is deleted while they wait are 404', async () => {
    const passes = holdPasses();
    const [id, deleted] = [await upload(), await upload()];
    const running = [post(id), post(id)];
    await expect.poll(() => passes.length).toBe(2);
    const waiting = post(deleted);
    await expect.poll(() => gateway.filePreflight.waiting()).toBe(1);
    await client.files.delete(deleted);
    for (const pass of passes) pass.end();
    expect((await waiting).status).toBe(404);
    await Promise.all(running);
  });

  test('are not cut by the idle time-out, which counts again after them', async () => {
    const passes = holdPasses();
    const { answer } = open(await upload());
    await expect.poll(() => passes.length).toBe(1);
    expect(socket.timeout).toBe(0);
    passes[0]?.end();
    expect((await text(await answer)).startsWith('{"object":"file.preflight"')).toBe(true);
    expect(idleTimeoutAtEnd).toBe(60_000);
  });

  test('that find damaged content are a fault of ours', async () => {
    const id = await upload();
    openContent = () => Readable.from([Buffer.from(ROWS.replace('hello', 'hullo'))]);
    expect(await post(id)).toMatchObject({ status: 500, json: { error: { code: 'file_content_damaged' } } });
  });
});
