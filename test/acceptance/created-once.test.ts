import { randomUUID } from 'node:crypto';
import OpenAI from 'openai';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startAcceptance, type Acceptance } from '../support/acceptance.js';
import { startCuttingProxy } from '../support/cutting-proxy.js';
import { sharedSystem } from '../support/shared-system.js';

let setup: Acceptance;
let file: string;

beforeAll(async () => {
  setup = await startAcceptance();
  file = await setup.client.dataset();
});
afterAll(() => setup.close());

const bodyOf = (slug: string) => ({
  model: 'gpt-4o-mini',
  training_file: file,
  portkey_options: { 'x-portkey-virtual-key': slug },
});
const jobsOf = async (slug: string) =>
  (await setup.emulators.jobs()).filter((job) => job.created_with.metadata?.['key'] === slug);

it('makes one job of 64 creates at once with one Idempotency-Key, and answers all alike', async () => {
  const { client } = setup;
  const { slug } = await client.newVirtualKey(setup.emulators);
  const json = { ...bodyOf(slug), metadata: { key: slug } };
  const headers = { 'Idempotency-Key': randomUUID() };
  const create = () => client.call('POST', '/v1/fine_tuning/jobs', { json, headers });
  const answers = await Promise.all(Array.from({ length: 64 }, create));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(answers.map(({ text }) => text)).size).toBe(1);

  const { id }: { id: string } = JSON.parse(answers[0]?.text ?? '');
  expect((await client.whenEnded(id)).status).toBe('succeeded');
  expect(await jobsOf(slug)).toHaveLength(1);
  // Also when it has ended: the first answer, as it was.
  expect((await create()).text).toBe(answers[0]?.text);
  expect(await jobsOf(slug)).toHaveLength(1);

  const other = await client.call('POST', '/v1/fine_tuning/jobs', { json: { ...json, suffix: 'other' }, headers });
  expect(other.status).toBe(422);
  expect(client.errorOf(other)).toMatchObject({ code: 'idempotency_conflict', param: 'Idempotency-Key' });
});

it('makes as many jobs as there are creates without a key', async () => {
  const { client } = setup;
  const { slug } = await client.newVirtualKey(setup.emulators);
  const jobs = await Promise.all(
    Array.from({ length: 3 }, () => client.create({ virtualKey: slug, training_file: file, metadata: { key: slug } })),
  );
  expect(new Set(jobs.map(({ id }) => id)).size).toBe(3);
  const ends = await Promise.all(jobs.map(({ id }) => client.whenEnded(id)));
  expect(ends.map(({ status }) => status)).toEqual(['succeeded', 'succeeded', 'succeeded']);
  expect(await jobsOf(slug)).toHaveLength(3);
});

it('makes one job where its answer is cut off under a client that tries again by itself', async () => {
  const { client } = setup;
  const { slug } = await client.newVirtualKey(setup.emulators);
  const { url, apiKey } = sharedSystem();
  const proxy = await startCuttingProxy(url, 2);
  try {
    const openai = new OpenAI({ baseURL: `${proxy.url}/v1`, apiKey });
    const job = await openai.fineTuning.jobs.create({ ...bodyOf(slug), metadata: { key: slug } });
    expect(proxy.cuts()).toBe(2);
    expect((await client.whenEnded(job.id)).status).toBe('succeeded');
    expect(await jobsOf(slug)).toHaveLength(1);
    const list = await client.call('GET', `/v1/fine_tuning/jobs?metadata[key]=${slug}`);
    const listed: { data: unknown[] } = JSON.parse(list.text);
    expect(listed.data).toHaveLength(1);
  } finally {
    await proxy.close();
  }
});
