import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { z } from 'zod';
import { chatRows, startForTest, uploadRows } from '../test-support/running.js';
import { credentialFingerprint } from './credentials.js';

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

const createJob = () => emulators.client.fineTuning.jobs.create({ model: 'gpt-4o-mini', training_file: fileId });
const fault = (body: object) => emulators.control('/faults', { provider: 'openai', ...body });
const jobCount = async () => (await emulators.control('/jobs?provider=openai')).rows.length;

test('execute-then-timeout makes the job and cuts the connection', async () => {
  await fault({ operation: 'createFineTuningJob', kind: 'execute-then-timeout', times: 1 });
  await expect(createJob()).rejects.toMatchObject({ name: 'Error', message: 'Connection error.' });
  expect(await jobCount()).toBe(1);
  const { rows } = await emulators.control('/requests?provider=openai');
  expect(rows.at(-1)).toMatchObject({ operation: 'createFineTuningJob', status: null });
  await createJob();
  expect(await jobCount()).toBe(2);
});

test('reset cuts the connection and does nothing', async () => {
  await fault({ kind: 'reset', times: 1 });
  await expect(createJob()).rejects.toMatchObject({ message: 'Connection error.' });
  expect(await jobCount()).toBe(0);
});

test('timeout never answers and does nothing', async () => {
  await fault({ kind: 'timeout', times: 1 });
  const request = emulators.client.fineTuning.jobs.create(
    { model: 'gpt-4o-mini', training_file: fileId },
    { timeout: 150 },
  );
  await expect(request).rejects.toMatchObject({ message: 'Request timed out.' });
  expect(await jobCount()).toBe(0);
});

test('status answers with the status, the vendor’s body and Retry-After, or with the body given', async () => {
  await fault({ kind: 'status', status: 429, retry_after: 7, times: 1 });
  const limited: unknown = await createJob().catch((error: unknown) => error);
  expect(limited).toMatchObject({ status: 429, code: 'rate_limit_exceeded' });
  const { headers } = z.object({ headers: z.instanceof(Headers) }).parse(limited);
  expect(headers.get('retry-after')).toBe('7');
  await fault({ kind: 'status', status: 418, body: { error: { message: 'a teapot', code: 'tea' } }, times: 1 });
  await expect(createJob()).rejects.toMatchObject({ status: 418, code: 'tea' });
  expect(await jobCount()).toBe(0);
});

test('malformed answers the done call with JSON that breaks off', async () => {
  await fault({ kind: 'malformed', times: 1 });
  await expect(createJob()).rejects.toThrow(/JSON/);
  expect(await jobCount()).toBe(1);
});

test('html answers with a proxy’s error page', async () => {
  await fault({ kind: 'html', times: 1 });
  await expect(createJob()).rejects.toMatchObject({ status: 502, message: expect.stringContaining('<html>') });
  expect(await jobCount()).toBe(0);
});

test('slow answers after its delay', async () => {
  await fault({ kind: 'slow', delay_ms: 300, times: 1 });
  const request = emulators.client.fineTuning.jobs.list({}, { timeout: 100 });
  await expect(request).rejects.toMatchObject({ message: 'Request timed out.' });
  await fault({ kind: 'slow', delay_ms: 30, times: 1 });
  expect((await emulators.client.fineTuning.jobs.list()).data).toEqual([]);
});

test('a fault hits only its operation, and a rate hits the same calls for the same seed', async () => {
  const pattern = async () => {
    await fault({ operation: 'listFiles', kind: 'status', status: 503, rate: 0.5, seed: 42 });
    const hits = [];
    for (let call = 0; call < 12; call += 1) {
      hits.push(
        await emulators.client.files.list().then(
          () => 0,
          () => 1,
        ),
      );
    }
    await emulators.control('/faults', undefined, 'DELETE');
    return hits;
  };
  const first = await pattern();
  expect(first).toContain(0);
  expect(first).toContain(1);
  expect(await pattern()).toEqual(first);
  await fault({ operation: 'listFiles', kind: 'reset' });
  expect((await emulators.client.files.retrieve(fileId)).id).toBe(fileId);
  await expect(emulators.client.files.list()).rejects.toMatchObject({ message: 'Connection error.' });
});

test('the request log names operation, path, status and a fingerprint of the credential, never the credential', async () => {
  await emulators.control('/requests', undefined, 'DELETE');
  await emulators.client.files.list({ limit: 3 });
  await emulators
    .clientFor('sk-another')
    .files.retrieve('file-none')
    .catch(() => undefined);
  const { body, rows } = await emulators.control('/requests');
  expect(rows).toMatchObject([
    { provider: 'openai', operation: 'listFiles', method: 'GET', path: '/openai/v1/files?limit=3', status: 200 },
    { operation: 'retrieveFile', credential: credentialFingerprint('sk-another'), status: 404 },
  ]);
  expect(JSON.stringify(body)).not.toContain('sk-');
  expect(Date.parse(String(rows[0]?.['time']))).toBeLessThanOrEqual(Date.parse(String(rows[1]?.['time'])));
});

test('a job can be forced into a state that nobody knows, stays there, and can be forced on', async () => {
  const { id } = await createJob();
  const forced = await emulators.control(`/jobs/${id}`, { state: 'compressing_weights' });
  expect(forced.body).toMatchObject({
    provider: 'openai',
    id,
    state: 'compressing_weights',
    created_with: { training_file: fileId },
  });
  await emulators.advance(1000);
  expect((await emulators.client.fineTuning.jobs.retrieve(id)).status).toBe('compressing_weights');
  await emulators.control(`/jobs/${id}`, { state: 'running' });
  expect((await emulators.client.fineTuning.jobs.retrieve(id)).status).toBe('running');
  await emulators.advance(1000);
  expect((await emulators.client.fineTuning.jobs.retrieve(id)).status).toBe('succeeded');

  const other = await createJob();
  await emulators.control(`/jobs/${other.id}`, { state: 'failed', error: { code: 'moderation', message: 'refused' } });
  expect(await emulators.client.fineTuning.jobs.retrieve(other.id)).toMatchObject({
    status: 'failed',
    error: { code: 'moderation', message: 'refused', param: null },
  });
  const third = await createJob();
  await emulators.control(`/jobs/${third.id}`, { state: 'succeeded' });
  const job = await emulators.client.fineTuning.jobs.retrieve(third.id);
  expect(job.fine_tuned_model).toMatch(/^ft:/);
  expect((await emulators.client.fineTuning.jobs.retrieve(third.id)).result_files).toHaveLength(1);
});

test.each([
  ['/faults', { provider: 'openai', kind: 'explode' }, /kind/],
  ['/faults', { provider: 'nobody', kind: 'reset' }, /none of openai/],
  ['/faults', { provider: 'openai', kind: 'reset', operation: 'createFineTune' }, /createFineTuningJob/],
  ['/faults', { provider: 'openai', kind: 'status' }, /needs a status/],
  ['/faults', { provider: 'openai', kind: 'reset', often: 1 }, /often/],
  ['/settings', { provider: 'openai', running_quota: -1 }, /running_quota/],
  ['/settings', { provider: 'openai', speed: 1 }, /speed/],
  ['/settings', {}, /provider/],
  ['/clock', {}, /advance_seconds or job_seconds/],
  ['/clock', { advance_seconds: 'ten' }, /advance_seconds/],
])('control call %s %j is 400 and says what is wrong', async (path, body, message) => {
  const answer = await emulators.control(path, body);
  expect(answer).toMatchObject({ status: 400, body: { error: { message: expect.stringMatching(message) } } });
});

test('unknown control calls, unknown jobs and bodies that are no JSON are refused', async () => {
  expect((await emulators.control('/nothing')).status).toBe(404);
  expect((await emulators.control('/jobs/ftjob-none', { state: 'failed' })).status).toBe(404);
  expect((await emulators.control('/requests?provider=nobody')).status).toBe(400);
  const answer = await fetch(`${emulators.url}/__emulator/faults`, { method: 'POST', body: '{' });
  expect(answer.status).toBe(400);
});

test('reset makes everything as new', async () => {
  await createJob();
  await fault({ kind: 'reset' });
  await emulators.control('/settings', { provider: 'openai', create_forbidden: true });
  await emulators.control('/clock', { advance_seconds: 1e6, job_seconds: 5 });
  await emulators.control('/reset', {});
  expect(await jobCount()).toBe(0);
  expect((await emulators.control('/requests')).rows).toEqual([]);
  expect((await emulators.client.files.list()).data).toEqual([]);
  const clock = (await emulators.control('/clock', { advance_seconds: 0 })).body;
  expect(clock['job_seconds']).toBe(10);
  expect(Date.parse(String(clock['now']))).toBeLessThan(Date.now() + 60_000);
});
