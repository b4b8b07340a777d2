import OpenAI, { toFile } from 'openai';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAcceptance, type Acceptance } from '../support/acceptance.js';
import { chatRows } from '../support/datasets.js';
import { loadOpenAiSchemas } from '../support/openai-schema.js';
import { sharedSystem } from '../support/shared-system.js';
import { until } from '../support/until.js';

let setup: Acceptance;

beforeAll(async () => {
  setup = await startAcceptance(4);
});
afterAll(() => setup.close());

const ORDER = ['validating_files', 'queued', 'running', 'succeeded'];
const unique = (ids: readonly string[]): readonly string[] => [...new Set(ids)];

it('trains on 200 rows: legal statuses in order, events that grow while it runs, checkpoints, a falling loss', async () => {
  const { client, emulators } = setup;
  const { slug } = await client.newVirtualKey(emulators);
  const file = await client.upload(chatRows(200));
  const created = await client.create({ virtualKey: slug, training_file: file, suffix: 'counts' });
  expect(created).toMatchObject({ status: 'validating_files', fine_tuned_model: null, finished_at: null });

  const statuses: string[] = [];
  const eventCounts: number[] = [];
  const finished = await until('the end', async () => {
    const job = await client.job(created.id);
    if (statuses.at(-1) !== job.status) statuses.push(job.status);
    if (job.status === 'running') eventCounts.push((await client.events(job.id)).length);
    return job.finished_at !== null && job;
  });
  expect(statuses).toEqual(ORDER.filter((status) => statuses.includes(status)));
  expect(statuses.slice(-2)).toEqual(['running', 'succeeded']);
  expect(eventCounts).toEqual(eventCounts.toSorted((one, other) => one - other));
  expect(unique(eventCounts.map(String)).length).toBeGreaterThan(3);

  expect(finished).toMatchObject({ status: 'succeeded', error: null, gateway: { provider: 'openai', sandbox: false } });
  expect(finished.fine_tuned_model).toMatch(/^ft:gpt-4o-mini.*:counts:/);
  expect(finished.trained_tokens).toBeGreaterThan(0);
  expect(finished.finished_at).toBeGreaterThanOrEqual(finished.created_at);

  const events = await client.events(created.id);
  expect(unique(events.map(({ id }) => id))).toHaveLength(events.length);
  const messages = events.map(({ message }) => message);
  expect(messages[0]).toBe(`Created fine-tuning job: ${created.id}`);
  const metrics = events.filter(({ type }) => type === 'metrics').map(({ data }) => Number(data?.['step']));
  expect(metrics).toEqual(Array.from(metrics, (_, index) => index + 1));
  expect(metrics.length).toBeGreaterThan(20);
  expect(events.map((event) => event.created_at)).toEqual(
    events.map((event) => event.created_at).toSorted((one, other) => one - other),
  );

  const checkpoints = await client.checkpoints(created.id);
  const steps = checkpoints.map((checkpoint) => checkpoint.step_number);
  expect(steps.length).toBeGreaterThan(1);
  expect(steps).toEqual(steps.toSorted((one, other) => other - one));

  expect(finished.result_files).toHaveLength(1);
  const result = finished.result_files[0] ?? '';
  expect(await client.call('GET', `/v1/files/${result}`)).toMatchObject({ status: 200 });
  const [header = '', ...rows] = (await client.content(result)).trim().split('\n');
  expect(header.split(',').slice(0, 2)).toEqual(['step', 'train_loss']);
  const losses = rows.map((row) => Number(row.split(',')[1]));
  expect(losses).toHaveLength(metrics.length);
  expect(losses.at(-1)).toBeLessThan((losses[0] ?? 0) / 2);

  expect(await emulators.calls('createFineTuningJob')).toHaveLength(1);
});

it("serves a script in the manner of OpenAI's examples, with its own client", async () => {
  const { client, emulators } = setup;
  const { slug } = await client.newVirtualKey(emulators);
  const { url, apiKey } = sharedSystem();
  const schemas = loadOpenAiSchemas();
  const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey });

  const upload = await openai.files.create({
    file: await toFile(Buffer.from(chatRows(40)), 'train.jsonl'),
    purpose: 'fine-tune',
  });
  const processed = await openai.files.waitForProcessing(upload.id);
  expect(processed).toMatchObject({ id: upload.id, status: 'processed' });
  expect(schemas.problems('OpenAIFile', processed)).toEqual([]);

  const body = {
    model: 'gpt-4o-mini',
    training_file: upload.id,
    method: { type: 'supervised' as const, supervised: { hyperparameters: { n_epochs: 2 } } },
    portkey_options: { 'x-portkey-virtual-key': slug },
  };
  let job = await openai.fineTuning.jobs.create(body);
  const seen = new Map<string, string>();
  const lines: string[] = [];
  await until('the end of the script', async () => {
    job = await openai.fineTuning.jobs.retrieve(job.id);
    expect(schemas.problems('FineTuningJob', job)).toEqual([]);
    const page: { id: string; message: string }[] = [];
    for await (const event of openai.fineTuning.jobs.listEvents(job.id, { limit: 10 })) page.push(event);
    for (const event of page.reverse()) {
      if (seen.has(event.id)) continue;
      seen.set(event.id, event.message);
      lines.push(event.message);
    }
    return job.finished_at !== null;
  });

  expect(job).toMatchObject({ status: 'succeeded', hyperparameters: { n_epochs: 2 } });
  const all = await client.events(job.id);
  expect(lines).toEqual(all.map(({ message }) => message));
  const checkpoints: string[] = [];
  for await (const checkpoint of openai.fineTuning.jobs.checkpoints.list(job.id, { limit: 1 })) {
    checkpoints.push(checkpoint.id);
  }
  expect(checkpoints).toHaveLength(2);
  const result = await openai.files.content(job.result_files[0] ?? '');
  expect(await result.text()).toContain('step,train_loss');

  const listed: string[] = [];
  for await (const each of openai.fineTuning.jobs.list({ limit: 1 })) {
    listed.push(each.id);
    if (each.id === job.id) break;
  }
  expect(unique(listed)).toHaveLength(listed.length);
  expect(listed).toContain(job.id);
});

it('serves the five calls of the documentation against the sandbox key', async () => {
  const { url, apiKey } = sharedSystem();
  const key = { 'x-portkey-api-key': apiKey };
  const read = async (response: Response): Promise<Record<string, unknown>> => {
    const text = await response.text();
    expect(response.status, text).toBe(200);
    const body: Record<string, unknown> = JSON.parse(text);
    return body;
  };
  const form = new FormData();
  form.set('file', new Blob([chatRows(10)]), 'dataset.jsonl');
  form.set('purpose', 'fine-tune');
  const file = await read(await fetch(`${url}/v1/files`, { method: 'POST', headers: key, body: form }));
  const created = await read(
    await fetch(`${url}/v1/fine_tuning/jobs`, {
      method: 'POST',
      headers: { ...key, 'Content-Type': 'application/json' },
      body: `{"model": "gpt-4o-mini", "suffix": "", "training_file": "${String(file['id'])}", "portkey_options": {"x-portkey-virtual-key": "sandbox"}, "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 1}}}}\n`,
    }),
  );
  const id = String(created['id']);
  const job = `${url}/v1/fine_tuning/jobs/${id}`;
  const list = await read(await fetch(`${url}/v1/fine_tuning/jobs`, { headers: key }));
  expect(JSON.stringify(list['data'])).toContain(id);
  expect(await read(await fetch(job, { headers: key }))).toMatchObject({ id, gateway: { sandbox: true } });
  await read(await fetch(`${job}/cancel`, { method: 'POST', headers: key }));
  expect((await setup.client.whenEnded(id)).status).toBe('cancelled');
});
