import { toFile } from 'openai';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { chatRows, readAnswer, startForTest, uploadRows } from '../test-support/running.js';

let emulators: Awaited<ReturnType<typeof startForTest>>;
let fileId: string;
beforeAll(async () => {
  emulators = await startForTest();
});
afterAll(() => emulators.close());
beforeEach(async () => {
  await emulators.control('/reset', {});
  fileId = (await uploadRows(emulators.client, chatRows(20))).id;
});

const KEY = 'sk-emulated-key-of-the-first-organization';

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(`${emulators.url}/openai/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${KEY}`, 'content-type': 'application/json', ...headers },
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  return { status: response.status, headers: response.headers, ...readAnswer(await response.text()) };
}

const createWith = (extra: object) =>
  call('POST', '/fine_tuning/jobs', { model: 'gpt-4o-mini', training_file: fileId, ...extra });

test('every answer has OpenAI’s headers and none about rate limits', async () => {
  for (const answer of [await call('GET', '/files'), await call('GET', '/files/file-none')]) {
    expect(answer.headers.get('x-request-id')).toMatch(/^req_[0-9a-z]{32}$/);
    expect(answer.headers.get('openai-version')).toBe('2020-10-01');
    expect(answer.headers.get('openai-organization')).toMatch(/^org-/);
    expect(Number(answer.headers.get('openai-processing-ms'))).toBeGreaterThan(0);
    expect([...answer.headers.keys()].filter((name) => name.startsWith('x-ratelimit'))).toEqual([]);
    expect(answer.headers.get('x-powered-by')).toBeNull();
  }
});

test.each([
  [
    'GET',
    '/fine_tuning/jobs/ftjob-none',
    'Could not find fine tune: ftjob-none',
    'fine_tune_id',
    'fine_tune_not_found',
  ],
  [
    'POST',
    '/fine_tuning/jobs/ftjob-none/cancel',
    'Could not find fine tune: ftjob-none',
    'fine_tune_id',
    'fine_tune_not_found',
  ],
  [
    'GET',
    '/fine_tuning/jobs/ftjob-none/events',
    'Could not find fine tune: ftjob-none',
    'fine_tune_id',
    'fine_tune_not_found',
  ],
  ['GET', '/files/file-none', 'No such File object: file-none', 'id', null],
  ['GET', '/files/file-none/content', 'No such File object: file-none', 'id', null],
  ['DELETE', '/files/file-none', 'No such File object: file-none', 'id', null],
  ['GET', '/models/gpt-nothing', "The model 'gpt-nothing' does not exist", 'model', 'model_not_found'],
  ['GET', '/nothing', 'Invalid URL (GET /v1/nothing)', null, null],
])('%s %s is 404 with OpenAI’s body', async (method, path, message, param, code) => {
  const answer = await call(method, path);
  expect(answer.status).toBe(404);
  expect(answer.body).toEqual({ error: { message, type: 'invalid_request_error', param, code } });
});

test('a missing, a wrong and a revoked key are 401, and the key is not shown whole', async () => {
  const missing = await fetch(`${emulators.url}/openai/v1/files`);
  expect(missing.status).toBe(401);
  expect(JSON.parse(await missing.text())).toMatchObject({ error: { type: 'invalid_request_error', code: null } });
  const wrong = await call('GET', '/files', undefined, { authorization: 'Bearer pk-0123456789-0123456789-0123456789' });
  expect(wrong).toMatchObject({ status: 401, body: { error: { code: 'invalid_api_key', param: null } } });
  expect(wrong.error['message']).toMatch(/^Incorrect API key provided: pk-01234\*+6789\. /);
  await emulators.control('/settings', { provider: 'openai', revoked_credentials: [KEY] });
  expect((await call('GET', '/files')).status).toBe(401);
  expect(JSON.stringify(await emulators.control('/settings', { provider: 'openai' }))).not.toContain(KEY);
  await emulators.control('/settings', { provider: 'openai', revoked_credentials: null });
  expect((await call('GET', '/files')).status).toBe(200);
});

test('an organisation sees nothing of another', async () => {
  const { id } = await emulators.client.fineTuning.jobs.create({ model: 'gpt-4o-mini', training_file: fileId });
  const other = emulators.clientFor('sk-other');
  await expect(other.fineTuning.jobs.retrieve(id)).rejects.toMatchObject({ status: 404, code: 'fine_tune_not_found' });
  await expect(other.files.retrieve(fileId)).rejects.toMatchObject({ status: 404 });
  expect((await other.fineTuning.jobs.list()).data).toEqual([]);
  expect((await other.files.list()).data).toEqual([]);
  await expect(other.fineTuning.jobs.create({ model: 'gpt-4o-mini', training_file: fileId })).rejects.toMatchObject({
    status: 400,
    param: 'training_file',
  });
});

test('an organisation that may not create jobs gets 403 and still reads', async () => {
  const { id } = await emulators.client.fineTuning.jobs.create({ model: 'gpt-4o-mini', training_file: fileId });
  await emulators.control('/settings', { provider: 'openai', create_forbidden: true });
  expect(await createWith({})).toMatchObject({ status: 403, body: { error: { type: 'invalid_request_error' } } });
  expect((await emulators.client.fineTuning.jobs.retrieve(id)).id).toBe(id);
});

test.each([
  [{ suffix: 5 }, "5 is not of type 'string' - 'suffix'"],
  [{ suffix: 'x'.repeat(65) }, `'${'x'.repeat(65)}' is too long - 'suffix'`],
  [{ seed: -1 }, "-1 is less than the minimum of 0 - 'seed'"],
  [{ model: null }, "None is not of type 'string' - 'model'"],
  [{ colour: 'red' }, "Additional properties are not allowed ('colour' was unexpected)"],
  [{ hyperparameters: { n_epochs: 'two' } }, "'two' is not one of ['auto'] - 'hyperparameters.n_epochs'"],
  [{ hyperparameters: { n_epochs: 51 } }, "51 is greater than the maximum of 50 - 'hyperparameters.n_epochs'"],
  [{ hyperparameters: { batch_size: 257 } }, "257 is greater than the maximum of 256 - 'hyperparameters.batch_size'"],
  [
    { hyperparameters: { learning_rate_multiplier: 0 } },
    "0 is less than or equal to the minimum of 0 - 'hyperparameters.learning_rate_multiplier'",
  ],
  [{ method: {} }, "'type' is a required property - 'method'"],
  [
    { method: { type: 'reinforcement', reinforcement: {} } },
    "'grader' is a required property - 'method.reinforcement'",
  ],
  [
    { method: { type: 'dpo', dpo: { hyperparameters: { beta: 3 } } } },
    "3 is greater than the maximum of 2 - 'method.dpo.hyperparameters.beta'",
  ],
  [{ metadata: { a: 1 } }, "1 is not of type 'string' - 'metadata.a'"],
  [{ metadata: { ['k'.repeat(65)]: 'v' } }, `'${'k'.repeat(65)}' is too long - 'metadata'`],
  [{ integrations: [{ type: 'wandb' }] }, "'wandb' is a required property - 'integrations.0'"],
])('create with %j is 400', async (extra, message) => {
  const answer = await createWith(extra);
  expect(answer.status).toBe(400);
  expect(answer.body).toEqual({ error: { message, type: 'invalid_request_error', param: null, code: null } });
});

test('seventeen pairs of metadata are refused and sixteen are kept', async () => {
  const pairs = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${String(index)}`, 'v']));
  expect((await createWith({ metadata: pairs(17) })).status).toBe(400);
  expect((await createWith({ metadata: pairs(16) })).body['metadata']).toEqual(pairs(16));
});

test('a body that is no JSON, a missing field, an unknown model, file or purpose are 400', async () => {
  expect((await call('POST', '/fine_tuning/jobs', '{')).error['message']).toMatch(/^We could not parse the JSON body/);
  expect((await call('POST', '/fine_tuning/jobs', { model: 'gpt-4o' })).error['message']).toBe(
    "'training_file' is a required property",
  );
  expect((await createWith({ model: 'gpt-9' })).error).toEqual({
    message: 'Model gpt-9 is not available for fine-tuning or does not exist.',
    type: 'invalid_request_error',
    param: 'model',
    code: 'model_not_available',
  });
  expect((await createWith({ training_file: 'file-none' })).error['message']).toBe('invalid training_file: file-none');
  const other = await emulators.client.files.create({
    file: await toFile(Buffer.from('a'), 'a.txt'),
    purpose: 'evals',
  });
  expect((await createWith({ training_file: other.id })).error['param']).toBe('training_file');
});

test.each([
  ['no file', { purpose: 'fine-tune' }, undefined, "'file' is a required property"],
  ['no purpose', {}, 'a.jsonl', "'purpose' is a required property"],
  ['another file type', { purpose: 'fine-tune' }, 'a.csv', 'Invalid file format for Fine-Tuning API. Must be .jsonl'],
  [
    'an unknown part',
    { purpose: 'fine-tune', x: '1' },
    'a.jsonl',
    "Additional properties are not allowed ('x' was unexpected)",
  ],
  [
    'an unknown purpose',
    { purpose: 'fun' },
    'a.jsonl',
    "'fun' is not one of ['assistants', 'batch', 'fine-tune', 'vision', 'user_data', 'evals'] - 'purpose'",
  ],
  [
    'a short life',
    { purpose: 'fine-tune', 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': '60' },
    'a.jsonl',
    "60 is less than the minimum of 3600 - 'expires_after.seconds'",
  ],
])('an upload with %s is 400 and leaves no file', async (_name, fields: Record<string, string>, filename, message) => {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields)) form.set(name, value);
  if (filename !== undefined) form.set('file', new Blob(['{}']), filename);
  const response = await fetch(`${emulators.url}/openai/v1/files`, {
    method: 'POST',
    headers: { authorization: `Bearer ${KEY}` },
    body: form,
  });
  expect(response.status).toBe(400);
  expect(readAnswer(await response.text()).error).toMatchObject({ message, param: null, code: null });
  expect((await emulators.client.files.list()).data).toHaveLength(1);
});

test('jobs beyond the running quota wait in the queue and start one after the other', async () => {
  await emulators.control('/settings', { provider: 'openai', running_quota: 1 });
  const ids: string[] = [];
  for (let index = 0; index < 3; index += 1) ids.push(String((await createWith({})).body['id']));
  const statuses = async () =>
    Promise.all(ids.map(async (id) => (await emulators.client.fineTuning.jobs.retrieve(id)).status));
  await emulators.advance(5);
  expect(await statuses()).toEqual(['running', 'queued', 'queued']);
  await emulators.advance(8);
  expect(await statuses()).toEqual(['succeeded', 'running', 'queued']);
  await emulators.advance(30);
  expect(await statuses()).toEqual(['succeeded', 'succeeded', 'succeeded']);
  const ends = await Promise.all(
    ids.map(async (id) => (await emulators.client.fineTuning.jobs.retrieve(id)).finished_at!),
  );
  expect(ends[2]! - ends[0]!).toBeGreaterThanOrEqual(15);
});

test('a create beyond running and queued quota is 429', async () => {
  await emulators.control('/settings', { provider: 'openai', running_quota: 1, queued_quota: 1 });
  expect((await createWith({})).status).toBe(200);
  expect((await createWith({})).status).toBe(200);
  expect(await createWith({})).toMatchObject({
    status: 429,
    body: { error: { code: 'rate_limit_exceeded', message: expect.stringMatching(/maximum of 2 active requests/) } },
  });
  await emulators.advance(60);
  expect((await createWith({})).status).toBe(200);
});

test('an upload that is no form, or a broken one, is 400', async () => {
  expect((await call('POST', '/files', { purpose: 'fine-tune' })).error['message']).toBe(
    'Invalid Content-Type header (application/json), expected multipart/form-data.',
  );
  const broken = '--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n{}';
  const answer = await call('POST', '/files', broken, { 'content-type': 'multipart/form-data; boundary=b' });
  expect(answer.status).toBe(400);
  expect((await emulators.client.files.list()).data).toHaveLength(1);
});

test('a file beyond the limit is 413, and a raised limit lets it through', async () => {
  await emulators.control('/settings', { provider: 'openai', limits: { file_bytes: 100 } });
  await expect(uploadRows(emulators.client, chatRows(20))).rejects.toMatchObject({ status: 413 });
  await emulators.control('/settings', { provider: 'openai', limits: { file_bytes: 100_000 } });
  expect((await uploadRows(emulators.client, chatRows(20))).object).toBe('file');
});
