import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { chatRows, readAnswer, startForTest, uploadRows } from '../test-support/running.js';
import fields from './__fixtures__/openapi-fields.json' with { type: 'json' };

let emulators: Awaited<ReturnType<typeof startForTest>>;
beforeAll(async () => {
  emulators = await startForTest();
});
afterAll(() => emulators.close());
beforeEach(async () => {
  await emulators.control('/reset', {});
});

// What recorded answers have beyond the published schema.
const WIRE_EXTRAS = ['user_provided_suffix', 'usage_metrics', 'shared_with_openai', 'shutdown_date'];

function expectFields(schema: keyof typeof fields, value: object, extras: readonly string[] = WIRE_EXTRAS) {
  const { required, properties } = fields[schema];
  expect(Object.keys(value), schema).toEqual(expect.arrayContaining(required));
  expect(
    Object.keys(value).filter((name) => !properties.includes(name) && !extras.includes(name)),
    schema,
  ).toEqual([]);
}

async function createJobs(count: number, metadata: (index: number) => Record<string, string> | null) {
  const file = await uploadRows(emulators.client, chatRows(10));
  const ids = [];
  for (let index = 0; index < count; index += 1) {
    const job = await emulators.client.fineTuning.jobs.create({
      model: 'gpt-4o-mini',
      training_file: file.id,
      metadata: metadata(index),
    });
    ids.push(job.id);
  }
  return ids;
}

async function listedJobs(query: object) {
  const ids = [];
  for await (const job of emulators.client.fineTuning.jobs.list(query)) ids.push(job.id);
  return ids;
}

test('the client pages through jobs, newest first, each once', async () => {
  const ids = await createJobs(5, () => null);
  expect(await listedJobs({ limit: 2 })).toEqual([...ids].reverse());
  expect((await emulators.client.fineTuning.jobs.list({ limit: 5 })).has_more).toBe(false);
});

test('a list of jobs filters by metadata pairs, all of them, or by their absence', async () => {
  const ids = await createJobs(4, (index) =>
    index === 3 ? null : { owner: index === 0 ? 'Ada & co' : 'Bob', 'gateway.job id': String(index) },
  );
  expect(await listedJobs({ metadata: { owner: 'Bob' } })).toEqual([ids[2], ids[1]]);
  expect(await listedJobs({ metadata: { owner: 'Ada & co' } })).toEqual([ids[0]]);
  expect(await listedJobs({ metadata: { owner: 'Bob', 'gateway.job id': '1' } })).toEqual([ids[1]]);
  expect(await listedJobs({ metadata: { owner: 'Eve' } })).toEqual([]);
  const response = await fetch(`${emulators.url}/openai/v1/fine_tuning/jobs?metadata=null`, {
    headers: { authorization: 'Bearer sk-emulated-key-of-the-first-organization' },
  });
  expect(readAnswer(await response.text()).rows.map((job) => job['id'])).toEqual([ids[3]]);
});

test('files are listed by purpose and order, with cursors', async () => {
  const ids = [];
  for (const name of ['a.jsonl', 'b.jsonl', 'c.jsonl']) ids.push((await uploadRows(emulators.client, '{}', name)).id);
  const page = await emulators.client.files.list({ order: 'asc', limit: 2 });
  expect(page).toMatchObject({ has_more: true, data: [{ id: ids[0] }, { id: ids[1] }] });
  const all = [];
  for await (const file of emulators.client.files.list({ order: 'asc', limit: 2 })) all.push(file.id);
  expect(all).toEqual(ids);
  expect((await emulators.client.files.list()).data.map((file) => file.id)).toEqual([...ids].reverse());
  expect((await emulators.client.files.list({ purpose: 'batch' })).data).toEqual([]);
  await emulators.client.files.delete(ids[0]!);
  expect((await emulators.client.files.list()).data).toHaveLength(2);
});

test('lists and results show late what exists, where a setting says so', async () => {
  await emulators.control('/settings', { provider: 'openai', list_lag_seconds: 30, result_lag_seconds: 60 });
  const [id] = await createJobs(1, () => null);
  expect(await listedJobs({})).toEqual([]);
  await emulators.advance(31);
  expect(await listedJobs({})).toEqual([id]);
  const done = await emulators.client.fineTuning.jobs.retrieve(id!);
  expect(done).toMatchObject({ status: 'succeeded', result_files: [] });
  await emulators.advance(60);
  expect((await emulators.client.fineTuning.jobs.retrieve(id!)).result_files).toHaveLength(1);
});

test('content comes back as it was sent, and a file with an expiry is gone after it', async () => {
  const rows = chatRows(3000);
  const file = await uploadRows(emulators.client, rows);
  expect(file).toMatchObject({ bytes: Buffer.byteLength(rows), filename: 'train.jsonl', status: 'processed' });
  expect(await (await emulators.client.files.content(file.id)).text()).toBe(rows);
  const { toFile } = await import('openai');
  const shortLived = await emulators.client.files.create({
    file: await toFile(Buffer.from('{}'), 'a.jsonl'),
    purpose: 'fine-tune',
    expires_after: { anchor: 'created_at', seconds: 3600 },
  });
  expect(shortLived.expires_at! - shortLived.created_at).toBe(3600);
  await emulators.advance(3601);
  await expect(emulators.client.files.retrieve(shortLived.id)).rejects.toMatchObject({ status: 404 });
  expect((await emulators.client.files.retrieve(file.id)).id).toBe(file.id);
});

test('an upload in parts becomes a file in the order of its completion', async () => {
  const { uploads, files } = emulators.client;
  const rows = Buffer.from(chatRows(10));
  const create = () =>
    uploads.create({ filename: 'big.jsonl', purpose: 'fine-tune', bytes: rows.length, mime_type: 'text/jsonl' });
  const part = (id: string, data: Buffer) =>
    uploads.parts.create(id, { data: new File([new Uint8Array(data)], 'blob') });

  const upload = await create();
  expect(upload).toMatchObject({ object: 'upload', status: 'pending', file: null });
  expect(upload.expires_at - upload.created_at).toBe(3600);
  const second = await part(upload.id, rows.subarray(100));
  const first = await part(upload.id, rows.subarray(0, 100));
  await expect(uploads.complete(upload.id, { part_ids: [first.id] })).rejects.toMatchObject({ status: 400 });
  const order = [first.id, second.id];
  await expect(uploads.complete(upload.id, { part_ids: order, md5: '0' })).rejects.toMatchObject({ param: 'md5' });
  const { createHash } = await import('node:crypto');
  const md5 = createHash('md5').update(rows).digest('hex');
  const completed = await uploads.complete(upload.id, { part_ids: order, md5 });
  expect(completed.status).toBe('completed');
  expect(await (await files.content(completed.file!.id)).text()).toBe(rows.toString());
  await expect(part(upload.id, rows)).rejects.toMatchObject({ status: 400 });
  expectFields('UploadPart', first);
  expectFields('Upload', completed);
  expectFields('OpenAIFile', completed.file!);

  const cancelled = await create();
  expect((await uploads.cancel(cancelled.id)).status).toBe('cancelled');
  const expired = await create();
  await emulators.advance(3601);
  await expect(part(expired.id, rows)).rejects.toMatchObject({
    status: 400,
    message: expect.stringContaining('expired'),
  });
});

test('every answer has the fields that OpenAI’s OpenAPI file requires, and no others but recorded ones', async () => {
  const headers = { authorization: 'Bearer sk-emulated-key-of-the-first-organization' };
  const get = async (path: string) =>
    readAnswer(await (await fetch(`${emulators.url}/openai/v1${path}`, { headers })).text());
  const [id] = await createJobs(1, () => null);
  for (const seconds of [0, 5, 30]) {
    await emulators.advance(seconds);
    expectFields('FineTuningJob', (await get(`/fine_tuning/jobs/${id!}`)).body);
  }
  const lists = [
    ['/fine_tuning/jobs', 'ListPaginatedFineTuningJobsResponse', 'FineTuningJob'],
    [`/fine_tuning/jobs/${id!}/events`, 'ListFineTuningJobEventsResponse', 'FineTuningJobEvent'],
    [`/fine_tuning/jobs/${id!}/checkpoints`, 'ListFineTuningJobCheckpointsResponse', 'FineTuningJobCheckpoint'],
    ['/files', 'ListFilesResponse', 'OpenAIFile'],
    ['/models', 'ListModelsResponse', 'Model'],
  ] as const;
  for (const [path, listSchema, itemSchema] of lists) {
    const { body, rows } = await get(path);
    expectFields(listSchema, body);
    expect(rows.length, path).toBeGreaterThan(0);
    for (const row of rows) expectFields(itemSchema, row);
  }
  const refused = await get('/files/file-none');
  expectFields('ErrorResponse', refused.body);
  expectFields('Error', refused.error);
});
