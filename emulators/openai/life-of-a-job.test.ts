import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { chatRows, numberIn, startForTest, uploadRows } from '../test-support/running.js';

let emulators: Awaited<ReturnType<typeof startForTest>>;
beforeAll(async () => {
  emulators = await startForTest();
});
afterAll(() => emulators.close());
beforeEach(async () => {
  await emulators.control('/reset', {});
});

async function createJob(rows = 200, extra: object = {}) {
  const file = await uploadRows(emulators.client, chatRows(rows));
  return emulators.client.fineTuning.jobs.create({ model: 'gpt-4o-mini', training_file: file.id, ...extra });
}

async function allEvents(id: string) {
  const events = [];
  for await (const event of emulators.client.fineTuning.jobs.listEvents(id, { limit: 7 })) events.push(event);
  return events;
}

test('a fresh job is validating, has an empty error object and automatic hyperparameters', async () => {
  const job = await createJob();
  expect(job).toMatchObject({
    object: 'fine_tuning.job',
    status: 'validating_files',
    model: 'gpt-4o-mini-2024-07-18',
    error: {},
    hyperparameters: { n_epochs: 'auto', batch_size: 'auto', learning_rate_multiplier: 'auto' },
    fine_tuned_model: null,
    finished_at: null,
    trained_tokens: null,
    result_files: [],
    integrations: [],
    metadata: null,
    user_provided_suffix: null,
  });
  expect(job.id).toMatch(/^ftjob-[0-9A-Za-z]{24}$/);
  expect(job.seed).toBeGreaterThanOrEqual(0);
});

test('a job passes through validation, queue and training to success as the clock moves', async () => {
  await emulators.control('/clock', { job_seconds: 1000 });
  const { id } = await createJob(200, { suffix: 'weather' });
  const statuses: string[] = [];
  for (const seconds of [0, 150, 100, 700]) {
    await emulators.advance(seconds);
    statuses.push((await emulators.client.fineTuning.jobs.retrieve(id)).status);
  }
  expect(statuses).toEqual(['validating_files', 'queued', 'running', 'running']);
  const running = await emulators.client.fineTuning.jobs.retrieve(id);
  expect(running.hyperparameters).toEqual({ n_epochs: 3, batch_size: 6, learning_rate_multiplier: 1.8 });
  expect(running.trained_tokens).toBeNull();

  await emulators.advance(200);
  const job = await emulators.client.fineTuning.jobs.retrieve(id);
  expect(job).toMatchObject({ status: 'succeeded', error: { code: null, message: null, param: null } });
  expect(job.fine_tuned_model).toMatch(/^ft:gpt-4o-mini-2024-07-18:personal:weather:[0-9A-Za-z]{8}$/);
  expect(job.trained_tokens).toBeGreaterThan(0);
  expect(job.result_files).toHaveLength(1);
  expect(job.finished_at! - job.created_at).toBe(1000);
});

test('events appear while the job runs, newest first, and end after finished_at', async () => {
  await emulators.control('/clock', { job_seconds: 100 });
  const { id } = await createJob();
  await emulators.advance(40);
  const early = await allEvents(id);
  await emulators.advance(30);
  const later = await allEvents(id);
  expect(later.length).toBeGreaterThan(early.length);
  expect(later.slice(-early.length)).toEqual(early);
  expect(early.slice(-4).map((event) => event.message)).toEqual([
    'Fine-tuning job started',
    'Files validated, moving job to queued state',
    expect.stringMatching(/^Validating training file: file-/),
    `Created fine-tuning job: ${id}`,
  ]);

  await emulators.advance(200);
  const all = await allEvents(id);
  const job = await emulators.client.fineTuning.jobs.retrieve(id);
  expect(new Set(all.map((event) => event.id)).size).toBe(all.length);
  expect(all[0]).toMatchObject({ message: 'The job has successfully completed', created_at: job.finished_at! + 8 });
  expect(all[1]).toMatchObject({ message: `New fine-tuned model created: ${job.fine_tuned_model!}` });
  expect(all.filter((event) => event.message.startsWith('Checkpoint created at step'))).toHaveLength(2);
  const steps = all.filter((event) => event.type === 'metrics').reverse();
  expect(steps.map((event) => numberIn(event.data, 'step'))).toEqual(
    Array.from({ length: 100 }, (_, index) => index + 1),
  );
  const losses = steps.map((event) => numberIn(event.data, 'train_loss'));
  expect(losses.at(-1)).toBeLessThan(losses[0]! / 2);
  expect(steps[0]!.message).toMatch(/^Step 1\/100: training loss=\d\.\d\d$/);
});

test('there is a checkpoint for each epoch, the last one under the name of the tuned model', async () => {
  const { id } = await createJob(20, {
    method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 2, batch_size: 4 } } },
  });
  await emulators.advance(30);
  const job = await emulators.client.fineTuning.jobs.retrieve(id);
  const { data } = await emulators.client.fineTuning.jobs.checkpoints.list(id);
  expect(data.map((checkpoint) => checkpoint.step_number)).toEqual([10, 5]);
  expect(data[0]!.fine_tuned_model_checkpoint).toBe(job.fine_tuned_model);
  expect(data[1]!.fine_tuned_model_checkpoint).toMatch(/:ckpt-step-5$/);
  expect(data[1]!.created_at).toBeLessThanOrEqual(data[0]!.created_at);
});

test('the result file is a loss curve in base64, or plain where the setting says so', async () => {
  const curveOf = async () => {
    const { id } = await createJob(12);
    await emulators.advance(30);
    const listed = (await emulators.client.files.list({ purpose: 'fine-tune-results' })).data;
    const job = await emulators.client.fineTuning.jobs.retrieve(id);
    const file = await emulators.client.files.retrieve(job.result_files[0]!);
    expect(listed[0]?.id).toBe(file.id);
    expect(file).toMatchObject({ purpose: 'fine-tune-results', filename: 'step_metrics.csv' });
    const text = await (await emulators.client.files.content(file.id)).text();
    expect(text).toHaveLength(file.bytes);
    return text;
  };
  const header = 'step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n';
  expect(Buffer.from(await curveOf(), 'base64').toString('utf8')).toMatch(new RegExp(`^${header}1,\\d`));
  await emulators.control('/settings', { provider: 'openai', result_files_base64: false });
  expect(await curveOf()).toMatch(new RegExp(`^${header}1,\\d`));
});

test('validation data adds validation losses to events and curve', async () => {
  const validation = await uploadRows(emulators.client, chatRows(10), 'valid.jsonl');
  const { id } = await createJob(40, { validation_file: validation.id });
  await emulators.advance(30);
  const steps = (await allEvents(id)).filter((event) => event.type === 'metrics');
  expect(steps[0]!.message).toMatch(/training loss=.*, validation loss=.*, full validation loss=/);
  expect(steps[0]!.data).toHaveProperty('full_valid_loss');
  expect(steps[1]!.data).not.toHaveProperty('full_valid_loss');
});

test.each([
  ['fewer than ten rows', chatRows(9), 'invalid_n_examples', /has 9 example\(s\)/],
  [
    'a row with an extra key',
    `${chatRows(10)}\n{"messages":[],"id":1}`,
    'invalid_file_format',
    /Example 11: Extra key 'id'/,
  ],
  ['a row that is no JSON', `${chatRows(10)}\n{`, 'invalid_file_format', /Example 11: the example is not valid JSON/],
])('a file with %s is accepted and fails the job during validation', async (_name, rows, code, message) => {
  const file = await uploadRows(emulators.client, rows);
  const job = await emulators.client.fineTuning.jobs.create({ model: 'gpt-4o-mini', training_file: file.id });
  expect(job.status).toBe('validating_files');
  await emulators.advance(5);
  const failed = await emulators.client.fineTuning.jobs.retrieve(job.id);
  expect(failed).toMatchObject({
    status: 'failed',
    error: { code, message: expect.stringMatching(message), param: 'training_file' },
  });
  expect((await allEvents(job.id))[0]).toMatchObject({ level: 'error', message: failed.error!.message });
});

test('preference and reinforcement jobs keep their hyperparameters under method', async () => {
  const rows = Array.from({ length: 10 }, () =>
    JSON.stringify({
      input: { messages: [{ role: 'user', content: 'Hi' }] },
      preferred_output: [{ role: 'assistant', content: 'Hello' }],
      non_preferred_output: [{ role: 'assistant', content: 'What' }],
    }),
  ).join('\n');
  const file = await uploadRows(emulators.client, rows);
  const method = { type: 'dpo' as const, dpo: { hyperparameters: { beta: 0.2 } } };
  const { id } = await emulators.client.fineTuning.jobs.create({ model: 'gpt-4o', training_file: file.id, method });
  await emulators.advance(30);
  const job = await emulators.client.fineTuning.jobs.retrieve(id);
  expect(job).toMatchObject({
    status: 'succeeded',
    hyperparameters: null,
    method: { type: 'dpo', dpo: { hyperparameters: { beta: 0.2, n_epochs: 3, batch_size: 1 } } },
  });

  const prompts = Array.from({ length: 10 }, (_, index) =>
    JSON.stringify({ messages: [{ role: 'user', content: 'Hi' }], answer: String(index) }),
  ).join('\n');
  const promptFile = await uploadRows(emulators.client, prompts);
  const grader = {
    type: 'string_check' as const,
    name: 'same',
    operation: 'eq' as const,
    input: '{{sample.output_text}}',
    reference: '{{item.answer}}',
  };
  const reinforced = await emulators.client.fineTuning.jobs.create({
    model: 'o4-mini',
    training_file: promptFile.id,
    method: { type: 'reinforcement', reinforcement: { grader } },
  });
  await emulators.advance(30);
  expect(await emulators.client.fineTuning.jobs.retrieve(reinforced.id)).toMatchObject({
    status: 'succeeded',
    method: { reinforcement: { grader, hyperparameters: { reasoning_effort: 'default', compute_multiplier: 1 } } },
  });
});

test('pause stops the training, resume queues it again, and it ends later by the time it was paused', async () => {
  await emulators.control('/clock', { job_seconds: 100 });
  const { id } = await createJob();
  const jobs = emulators.client.fineTuning.jobs;
  await expect(jobs.pause(id)).rejects.toMatchObject({ status: 400, code: null });
  await emulators.advance(50);
  expect((await jobs.pause(id)).status).toBe('paused');
  const paused = (await allEvents(id)).length;
  await emulators.advance(1000);
  expect((await jobs.retrieve(id)).status).toBe('paused');
  expect((await allEvents(id)).length).toBe(paused);
  expect((await jobs.resume(id)).status).toBe('queued');
  await emulators.advance(15);
  expect((await jobs.retrieve(id)).status).toBe('running');
  await emulators.advance(100);
  expect((await jobs.retrieve(id)).status).toBe('succeeded');
  expect((await allEvents(id)).filter((event) => event.type === 'metrics')).toHaveLength(100);
});

test('cancel ends an open job once and is refused for a finished one', async () => {
  const { id } = await createJob();
  expect(await emulators.client.fineTuning.jobs.cancel(id)).toMatchObject({
    status: 'cancelled',
    fine_tuned_model: null,
  });
  await expect(emulators.client.fineTuning.jobs.cancel(id)).rejects.toMatchObject({
    status: 400,
    type: 'invalid_request_error',
    code: null,
  });
  await emulators.advance(100);
  expect((await emulators.client.fineTuning.jobs.retrieve(id)).status).toBe('cancelled');
});

test('the tuned model is listed, can be tuned further, and is gone once deleted', async () => {
  const { id } = await createJob();
  await emulators.advance(30);
  const model = (await emulators.client.fineTuning.jobs.retrieve(id)).fine_tuned_model!;
  const listed = [];
  for await (const entry of emulators.client.models.list()) listed.push(entry.id);
  expect(listed).toContain(model);
  expect((await emulators.client.models.retrieve(model)).id).toBe(model);
  expect((await createJob(20, { model })).model).toBe(model);
  expect(await emulators.client.models.delete(model)).toEqual({ id: model, object: 'model', deleted: true });
  await expect(emulators.client.models.retrieve(model)).rejects.toMatchObject({ status: 404, code: 'model_not_found' });
  await expect(createJob(20, { model })).rejects.toMatchObject({ status: 400, param: 'model' });
});
