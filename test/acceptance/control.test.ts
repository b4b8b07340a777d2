import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startAcceptance, type Acceptance } from '../support/acceptance.js';
import { chatRows } from '../support/datasets.js';
import type { Job } from '../support/gateway-client.js';
import { until } from '../support/until.js';

let setup: Acceptance;
let file: string;

beforeAll(async () => {
  setup = await startAcceptance(60);
  file = await setup.client.dataset();
});
afterEach(async () => {
  await setup.emulators.reset();
  await setup.emulators.jobSeconds(60);
});
afterAll(() => setup.close());

async function newJob(trainingFile = file): Promise<Job> {
  const { slug } = await setup.client.newVirtualKey(setup.emulators);
  return setup.client.create({ virtualKey: slug, training_file: trainingFile });
}

/** A job that the provider has in this state, without waiting for its turn. */
async function jobAtProvider(status: string): Promise<Job> {
  const { client, emulators } = setup;
  const job = await newJob();
  const made = await client.whenJob(job.id, 'made', ({ gateway }) => gateway.provider_job_id !== null);
  await emulators.force(made.gateway.provider_job_id ?? '', status);
  return client.whenJob(job.id, status, ({ gateway }) => gateway.raw_status === status);
}

const calls = async (operation: string): Promise<number> => (await setup.emulators.calls(operation)).length;

async function expectCancelled(id: string): Promise<void> {
  const { client } = setup;
  const end = await client.whenEnded(id);
  expect(end).toMatchObject({
    status: 'cancelled',
    error: null,
    fine_tuned_model: null,
    gateway: { cancel_requested: true, phase: 'finished' },
  });
  expect(end.finished_at).not.toBeNull();
  expect((await client.events(id)).map(({ message }) => message)).toContain('The job was cancelled');
}

describe('a cancel', () => {
  it('at once after the create leaves nothing running at the provider', async () => {
    const job = await newJob(await setup.client.upload(chatRows(5_000)));
    expect(await setup.client.act(job.id, 'cancel')).toMatchObject({ gateway: { cancel_requested: true } });
    await expectCancelled(job.id);
    expect((await setup.emulators.jobs()).filter(({ state }) => state !== 'cancelled')).toEqual([]);
  });

  it('during the upload ends it, and nothing is created', async () => {
    await setup.emulators.fault({ kind: 'timeout', operation: 'createFile', delay_ms: 2_000 });
    const job = await newJob();
    await until('the upload', async () => (await calls('createFile')) > 0);
    await setup.client.act(job.id, 'cancel');
    await expectCancelled(job.id);
    expect(await calls('createFineTuningJob')).toBe(0);
  });

  it('during a create that the provider did not execute ends the job without another create', async () => {
    // A create in flight is heard out: its answer says what there is to cancel.
    await setup.emulators.fault({ kind: 'timeout', operation: 'createFineTuningJob', delay_ms: 2_000 });
    const job = await newJob();
    await until('the create', async () => (await calls('createFineTuningJob')) === 1);
    await setup.client.act(job.id, 'cancel');
    await expectCancelled(job.id);
    expect(await calls('createFineTuningJob')).toBe(1);
    expect(await setup.emulators.jobs()).toEqual([]);
  });

  it('during a create that the provider did execute cancels what it made', async () => {
    await setup.emulators.fault({ kind: 'execute-then-timeout', operation: 'createFineTuningJob', delay_ms: 2_000 });
    const job = await newJob();
    await until('the job at the provider', async () => (await setup.emulators.jobs()).length === 1);
    await setup.client.act(job.id, 'cancel');
    await expectCancelled(job.id);
    expect(await calls('createFineTuningJob')).toBe(1);
    expect(await setup.emulators.jobs()).toMatchObject([{ state: 'cancelled' }]);
  });

  it.each(['validating_files', 'queued', 'running'])(
    'of a job that is %s at the provider ends it there',
    async (status) => {
      const job = await jobAtProvider(status);
      const answer = await setup.client.act(job.id, 'cancel');
      expect(answer.gateway.cancel_requested).toBe(true);
      await expectCancelled(job.id);
      expect(await setup.emulators.jobs()).toMatchObject([{ state: 'cancelled' }]);
    },
  );

  it('is heard through an outage of the provider', async () => {
    const job = await jobAtProvider('running');
    await setup.emulators.fault({ kind: 'reset' });
    await setup.client.act(job.id, 'cancel');
    await until('the cancel at the provider', async () => (await calls('cancelFineTuningJob')) > 1);
    expect(await setup.client.job(job.id)).toMatchObject({ status: 'running', gateway: { phase: 'cancelling' } });
    await setup.emulators.clearFaults();
    await expectCancelled(job.id);
  });

  it('that comes too late gives way to the success of the provider', async () => {
    const job = await jobAtProvider('running');
    await setup.emulators.fault({ kind: 'reset', operation: 'cancelFineTuningJob', times: 2 });
    await setup.client.act(job.id, 'cancel');
    await setup.emulators.force(job.gateway.provider_job_id ?? '', 'succeeded');
    expect(await setup.client.whenEnded(job.id)).toMatchObject({
      status: 'succeeded',
      gateway: { cancel_requested: true },
    });
  });

  it('of a finished job is refused in words, and repeated cancels of an open one are not', async () => {
    const { client } = setup;
    const job = await newJob();
    const answers = await Promise.all([1, 2, 3].map(() => client.act(job.id, 'cancel')));
    expect(answers.map(({ id }) => id)).toEqual([job.id, job.id, job.id]);
    await expectCancelled(job.id);
    const refused = await client.call('POST', `/v1/fine_tuning/jobs/${job.id}/cancel`);
    expect(refused.status).toBe(400);
    expect(client.errorOf(refused).message).toContain('already been cancelled');
  });
});

it('pauses and resumes at the provider, and the job succeeds', async () => {
  const { client, emulators } = setup;
  await emulators.jobSeconds(4);
  const job = await newJob();
  await client.whenJob(job.id, 'running', ({ status }) => status === 'running');
  expect((await client.act(job.id, 'pause')).status).toBe('paused');
  expect(await emulators.jobs()).toMatchObject([{ state: 'paused' }]);
  expect(await client.job(job.id)).toMatchObject({ status: 'paused' });
  const again = await client.call('POST', `/v1/fine_tuning/jobs/${job.id}/pause`);
  expect(again.status).toBe(400);

  expect(['queued', 'running']).toContain((await client.act(job.id, 'resume')).status);
  const end = await client.whenEnded(job.id);
  expect(end.status).toBe('succeeded');
  const steps = (await client.events(job.id))
    .filter(({ type }) => type === 'metrics')
    .map(({ data }) => data?.['step']);
  expect(steps).toEqual(Array.from(steps, (_, index) => index + 1));
  const refused = await client.call('POST', `/v1/fine_tuning/jobs/${job.id}/resume`);
  expect(refused.status).toBe(400);
});
