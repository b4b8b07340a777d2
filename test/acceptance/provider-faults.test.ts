import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { startAcceptance, type Acceptance } from '../support/acceptance.js';
import type { Fault } from '../support/emulator-control.js';
import type { Job } from '../support/gateway-client.js';
import { until } from '../support/until.js';

let setup: Acceptance;
let file: string;

beforeAll(async () => {
  setup = await startAcceptance();
  file = await setup.client.dataset();
});
afterEach(async () => {
  // Quotas, faults, jobs and the length of a job: as at the beginning.
  await setup.emulators.reset();
  await setup.emulators.jobSeconds(1);
});
afterAll(() => setup.close());

const OPERATIONS = [
  'retrieveModel',
  'createFile',
  'listFiles',
  'retrieveFile',
  'createFineTuningJob',
  'listPaginatedFineTuningJobs',
  'retrieveFineTuningJob',
  'listFineTuningEvents',
  'listFineTuningJobCheckpoints',
  'downloadFile',
];

async function newJob(seconds = 1): Promise<{ readonly job: Job; readonly key: string }> {
  const { client, emulators } = setup;
  await emulators.jobSeconds(seconds);
  const { slug, key } = await client.newVirtualKey(emulators);
  return { job: await client.create({ virtualKey: slug, training_file: file }), key };
}

const isRunning = (job: Job): boolean => job.status === 'running';
const remoteId = (job: Job): string => job.gateway.provider_job_id ?? '';

it.each<Omit<Fault, 'operation'>>([
  { kind: 'reset' },
  { kind: 'status', status: 500 },
  { kind: 'status', status: 503, retry_after: 1 },
  {
    kind: 'status',
    status: 429,
    body: { error: { message: 'slow down', type: 'requests', code: 'rate_limit_exceeded' } },
  },
  { kind: 'html' },
  { kind: 'malformed' },
  { kind: 'execute-then-timeout' },
])('succeeds with one job at the provider though each call is hit once: %o', async (fault) => {
  const { client, emulators } = setup;
  for (const operation of OPERATIONS) await emulators.fault({ ...fault, operation, times: 1 });
  const { job } = await newJob(2);
  const end = await client.whenEnded(job.id);
  expect(end).toMatchObject({ status: 'succeeded', gateway: { last_error: null, provider_unreachable_since: null } });
  expect(end.result_files).toHaveLength(1);
  expect(await emulators.jobs()).toMatchObject([{ id: remoteId(end), state: 'succeeded' }]);
  const events = await client.events(job.id);
  const steps = events.filter(({ type }) => type === 'metrics').map(({ data }) => Number(data?.['step']));
  expect(steps).toEqual(Array.from(steps, (_, index) => index + 1));
  expect(await client.checkpoints(job.id)).not.toHaveLength(0);
});

it('makes one job where the create is executed and its answer never comes, and the list shows it late', async () => {
  const { client, emulators } = setup;
  await emulators.settings({ list_lag_seconds: 1 });
  await emulators.fault({ kind: 'execute-then-timeout', operation: 'createFineTuningJob', times: 1 });
  const { job } = await newJob(2);
  const end = await client.whenEnded(job.id);
  expect(end.status).toBe('succeeded');
  expect(await emulators.jobs()).toMatchObject([{ id: remoteId(end), state: 'succeeded' }]);
  expect(await emulators.calls('createFineTuningJob')).toHaveLength(1);
});

it('stays running in a state that nobody knows, and shows it raw', async () => {
  const { client, emulators } = setup;
  const { job } = await newJob(3);
  const running = await client.whenJob(job.id, 'running', isRunning);
  await emulators.force(remoteId(running), 'defragmenting');
  const odd = await client.whenJob(job.id, 'raw', ({ gateway }) => gateway.raw_status === 'defragmenting');
  expect(odd).toMatchObject({ status: 'running', finished_at: null });
  await emulators.force(remoteId(running), 'running');
  expect((await client.whenEnded(job.id)).status).toBe('succeeded');
});

it("takes the provider's word for a failure, with its code and message", async () => {
  const { client, emulators } = setup;
  const { job } = await newJob(5);
  const running = await client.whenJob(job.id, 'running', isRunning);
  await emulators.force(remoteId(running), 'failed', { code: 'exceeded_quota', message: 'No money left.' });
  const end = await client.whenEnded(job.id);
  expect(end).toMatchObject({ status: 'failed', error: { code: 'exceeded_quota', message: 'No money left.' } });
  expect((await client.events(job.id)).at(-1)).toMatchObject({ level: 'error' });
});

it('waits where credentials are revoked while the job runs, says why, and goes on when they are good again', async () => {
  const { client, emulators } = setup;
  const { job, key } = await newJob(3);
  await client.whenJob(job.id, 'running', isRunning);
  await emulators.settings({ revoked_credentials: [key] });
  const waiting = await client.whenJob(job.id, 'last_error', ({ gateway }) => gateway.last_error !== null);
  expect(waiting).toMatchObject({ status: 'running', gateway: { last_error: { code: 'provider_auth_error' } } });
  expect(JSON.stringify(waiting)).not.toContain(key);
  await emulators.settings({ revoked_credentials: null });
  expect(await client.whenEnded(job.id)).toMatchObject({ status: 'succeeded', gateway: { last_error: null } });
});

it('fails with provider_auth_error where the provider refuses the credentials before there is a job', async () => {
  const { client, emulators } = setup;
  const { slug, key } = await client.newVirtualKey(emulators);
  await emulators.settings({ revoked_credentials: [key] });
  const job = await client.create({ virtualKey: slug, training_file: file });
  const end = await client.whenEnded(job.id);
  expect(end).toMatchObject({ status: 'failed', error: { code: 'provider_auth_error' } });
  expect(JSON.stringify(end)).not.toContain(key);
  expect(await emulators.jobs()).toEqual([]);
});

it.each([401, 403])('fails with provider_auth_error where the create itself is answered with %i', async (status) => {
  const { client, emulators } = setup;
  await emulators.fault({ kind: 'status', operation: 'createFineTuningJob', status });
  const { job } = await newJob();
  expect(await client.whenEnded(job.id)).toMatchObject({
    status: 'failed',
    error: { code: 'provider_auth_error' },
  });
  expect(await emulators.jobs()).toEqual([]);
  expect(await emulators.calls('createFineTuningJob')).toHaveLength(1);
});

it('waits as queued over a quota, and a cancel ends the wait without another create', async () => {
  const { client, emulators } = setup;
  await emulators.settings({ running_quota: 0, queued_quota: 0 });
  const { job } = await newJob();
  const waiting = await client.whenJob(job.id, 'over quota', ({ gateway }) => gateway.last_error !== null);
  expect(waiting.gateway.last_error).toMatchObject({ code: 'provider_quota_exceeded' });
  await client.whenJob(job.id, 'queued', ({ status }) => status === 'queued');
  const creates = (await emulators.calls('createFineTuningJob')).length;
  await client.act(job.id, 'cancel');
  expect((await client.whenEnded(job.id)).status).toBe('cancelled');
  expect(await emulators.calls('createFineTuningJob')).toHaveLength(creates);
  expect(await emulators.jobs()).toEqual([]);
});

it('waits as queued over a quota and goes on when there is room', async () => {
  const { client, emulators } = setup;
  await emulators.settings({ running_quota: 0, queued_quota: 0 });
  const { job } = await newJob();
  await client.whenJob(job.id, 'queued', ({ status }) => status === 'queued');
  await emulators.settings({ running_quota: null, queued_quota: null });
  const end = await client.whenEnded(job.id);
  expect(end.status).toBe('succeeded');
  expect(await emulators.jobs()).toMatchObject([{ id: remoteId(end), state: 'succeeded' }]);
});

it('stays running through an outage, says since when, and goes on', async () => {
  const { client, emulators } = setup;
  const { job } = await newJob(3);
  await client.whenJob(job.id, 'running', isRunning);
  await emulators.fault({ kind: 'reset' });
  const away = await client.whenJob(job.id, 'away', ({ gateway }) => gateway.provider_unreachable_since !== null);
  expect(away).toMatchObject({ status: 'running', gateway: { last_error: { code: 'provider_unavailable' } } });
  const before = (await emulators.calls('retrieveFineTuningJob')).length;
  await until('three more polls', async () => (await emulators.calls('retrieveFineTuningJob')).length >= before + 3);
  expect(await client.job(job.id)).toMatchObject({
    status: 'running',
    gateway: { provider_unreachable_since: away.gateway.provider_unreachable_since },
  });
  await emulators.clearFaults();
  expect(await client.whenEnded(job.id)).toMatchObject({
    status: 'succeeded',
    gateway: { provider_unreachable_since: null, last_error: null },
  });
  expect(await emulators.calls('createFineTuningJob')).toHaveLength(1);
});
