import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAcceptance, type Acceptance } from '../support/acceptance.js';
import { chatRows } from '../support/datasets.js';

let setup: Acceptance;

beforeAll(async () => {
  setup = await startAcceptance();
});
afterAll(() => setup.close());

async function newKey(): Promise<string> {
  return (await setup.client.newVirtualKey(setup.emulators)).slug;
}

const BAD_ROW = '{"messages": [{"role": "user", "content": 7}]}\n';

it.each([
  ['training', 'training_file'],
  ['validation', 'validation_file'],
] as const)(
  'fails a job whose %s file is wrong as OpenAI does, naming the line, and creates nothing',
  async (_, param) => {
    const { client, emulators } = setup;
    const good = await client.dataset();
    const bad = await client.upload(`${chatRows(11)}${BAD_ROW}${chatRows(2)}not json\n`);
    await emulators.forgetRequests();
    const job = await client.create({ virtualKey: await newKey(), training_file: good, [param]: bad });
    const end = await client.whenEnded(job.id);
    expect(end).toMatchObject({ status: 'failed', error: { code: 'invalid_training_file', param } });
    expect(end.error?.message).toMatch(/line 12\b/i);
    expect(end.error?.message).toMatch(/line 15\b/i);
    expect(end.finished_at).not.toBeNull();
    const errors = (await client.events(job.id)).filter(({ level }) => level === 'error').map(({ message }) => message);
    expect(errors.join('\n')).toMatch(/line 12\b/i);
    expect((await emulators.requests()).filter(({ method }) => method !== 'GET')).toEqual([]);
  },
);

it('keeps a file for as long as an open job needs it, and deletes it afterwards', async () => {
  const { client, emulators } = setup;
  await emulators.jobSeconds(60);
  const file = await client.dataset();
  const job = await client.create({ virtualKey: await newKey(), training_file: file });
  const refused = await client.call('DELETE', `/v1/files/${file}`);
  expect(refused.status).toBe(409);
  expect(client.errorOf(refused).code).toBe('file_in_use');
  await client.act(job.id, 'cancel');
  await client.whenEnded(job.id);
  const deleted = await client.call('DELETE', `/v1/files/${file}`);
  expect(JSON.parse(deleted.text)).toEqual({ id: file, object: 'file', deleted: true });
  expect((await client.call('GET', `/v1/files/${file}`)).status).toBe(404);
  expect(await client.job(job.id)).toMatchObject({ status: 'cancelled', training_file: file });
  await emulators.jobSeconds(1);
});

it('shows content whole and by range', async () => {
  const { client } = setup;
  const content = chatRows(20);
  const file = await client.upload(content);
  expect(await client.content(file)).toBe(content);
  const part = await client.call('GET', `/v1/files/${file}/content`, { headers: { range: 'bytes=10-19' } });
  expect(part).toMatchObject({ status: 206, text: content.slice(10, 20) });
  expect(part.headers.get('content-range')).toBe(`bytes 10-19/${Buffer.byteLength(content)}`);
});

it('sends a model that no list names to the vendor where the key is named, and shows its refusal', async () => {
  const { client, emulators } = setup;
  const file = await client.dataset();
  const job = await client.create({ virtualKey: await newKey(), training_file: file, model: 'gpt-nonsense' });
  expect(await client.whenEnded(job.id)).toMatchObject({ status: 'failed', error: { code: 'model_not_available' } });
  expect((await emulators.calls('createFineTuningJob')).at(-1)?.status).toBe(400);
});

it('asks the provider for the model in provider_options, and keeps what the caller called it', async () => {
  const { client, emulators } = setup;
  const file = await client.dataset();
  const job = await client.create({
    virtualKey: await newKey(),
    training_file: file,
    model: 'our-house-model',
    provider_options: { model: 'gpt-4.1-mini-2025-04-14' },
  });
  const end = await client.whenEnded(job.id);
  expect(end).toMatchObject({ status: 'succeeded', model: 'our-house-model' });
  expect(end.fine_tuned_model).toContain('gpt-4.1-mini');
  const made = (await emulators.jobs()).find(({ id }) => id === end.gateway.provider_job_id);
  expect(made?.created_with['model']).toBe('gpt-4.1-mini-2025-04-14');
});

it('keeps 16 pairs of metadata, finds jobs by them, and shows none of its own', async () => {
  const { client } = setup;
  const virtualKey = await newKey();
  const metadata = Object.fromEntries(
    Array.from({ length: 16 }, (_, index) => [`k${index}`, `${virtualKey}-${index}`]),
  );
  const file = await client.dataset();
  const full = await client.create({ virtualKey, training_file: file, metadata });
  const small = await client.create({ virtualKey, training_file: file, metadata: { k0: metadata['k0'] } });
  const ends = [await client.whenEnded(full.id), await client.whenEnded(small.id)];
  expect(ends.map((job) => [job.status, job.metadata])).toEqual([
    ['succeeded', metadata],
    ['succeeded', { k0: metadata['k0'] }],
  ]);
  const found = async (query: string): Promise<string[]> => {
    const answer = await client.call('GET', `/v1/fine_tuning/jobs?${query}`);
    const list: { data: { id: string }[] } = JSON.parse(answer.text);
    return list.data.map(({ id }) => id);
  };
  expect(await found(`metadata[k0]=${metadata['k0'] ?? ''}`)).toEqual([small.id, full.id]);
  expect(await found(`metadata[k0]=${metadata['k0'] ?? ''}&metadata[k15]=${metadata['k15'] ?? ''}`)).toEqual([full.id]);
  expect(await found(`metadata[k0]=nobody`)).toEqual([]);
});

it('takes blanks and nulls in optional fields as absent', async () => {
  const { client } = setup;
  const job = await client.create({
    virtualKey: await newKey(),
    training_file: await client.dataset(),
    validation_file: '',
    suffix: null,
    seed: null,
    method: null,
    hyperparameters: null,
    integrations: null,
    metadata: null,
  });
  expect(job).toMatchObject({ validation_file: null, metadata: null });
  expect((await client.whenEnded(job.id)).status).toBe('succeeded');
});
