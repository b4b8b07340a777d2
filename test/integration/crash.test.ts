import { afterEach, describe, expect, it } from 'vitest';
import { isRunning, identify } from '../../src/processes/process-identity.js';
import { controlEmulators, type EmulatorControl } from '../support/emulator-control.js';
import { createGatewayClient, type GatewayClient, type Job } from '../support/gateway-client.js';
import { runToEnd } from '../support/running-process.js';
import { startSystem, systemEnvironment, type ChildName, type RunningSystem } from '../support/running-system.js';
import { until } from '../support/until.js';

const systems: RunningSystem[] = [];
afterEach(async () => {
  await Promise.all(systems.splice(0).map((system) => system.dispose()));
});

interface Started {
  readonly system: RunningSystem;
  readonly client: GatewayClient;
  readonly emulators: () => EmulatorControl;
}

async function start(environment: Readonly<Record<string, string>> = {}): Promise<Started> {
  const system = await startSystem({ environment });
  systems.push(system);
  return {
    system,
    client: createGatewayClient(system.addresses),
    emulators: () => controlEmulators(system.addresses().emulatorsUrl),
  };
}

async function newJob({ client, emulators }: Started, seconds: number): Promise<Job> {
  await emulators().jobSeconds(seconds);
  return client.create({ virtualKey: 'sandbox', training_file: await client.dataset() });
}

const running = (job: Job): boolean => job.status === 'running';

async function expectOneSuccess({ client, emulators }: Started, id: string): Promise<void> {
  const end = await client.whenEnded(id);
  expect(end.status).toBe('succeeded');
  expect(await emulators().jobs()).toMatchObject([{ id: end.gateway.provider_job_id, state: 'succeeded' }]);
  const events = await client.events(id);
  const steps = events.filter(({ type }) => type === 'metrics').map(({ data }) => data?.['step']);
  expect(steps).toEqual(Array.from(steps, (_, index) => index + 1));
  expect(new Set(events.map(({ message }) => message)).size).toBe(events.length);
}

const readiness = async (started: Started): Promise<{ status: string; checks: Record<string, { status: string }> }> => {
  const answer = await started.client.call('GET', '/readyz', { anonymous: true });
  const body: { status: string; checks: Record<string, { status: string }> } = JSON.parse(answer.text);
  return body;
};
const whenReady = (started: Started): Promise<unknown> =>
  until('readiness', async () => (await readiness(started)).status === 'ready');

describe('after a kill -9 of the whole start', () => {
  it.each([
    ['while it runs', ({ client }: Started, job: Job) => client.whenJob(job.id, 'running', running)],
    [
      'right after the provider made the job',
      ({ emulators }: Started) => until('a job', async () => (await emulators().jobs()).length === 1, { everyMs: 5 }),
    ],
  ])('%s, a job goes on at the next start and is made once', async (_, moment) => {
    // What the dead worker had in hand is given out again after its time-out.
    const started = await start({ ACTIVITY_TIMEOUT_SCALE: '0.1' });
    const job = await newJob(started, 5);
    await moment(started, job);
    await started.system.kill9();
    await started.system.start();
    await expectOneSuccess(started, job.id);
  });

  it('in the middle of a create that the provider executes, the next start finds it', async () => {
    const started = await start({ ACTIVITY_TIMEOUT_SCALE: '0.1' });
    await started.emulators().fault({
      kind: 'execute-then-timeout',
      operation: 'createFineTuningJob',
      delay_ms: 20_000,
      times: 1,
    });
    const job = await newJob(started, 5);
    await until('a job', async () => (await started.emulators().jobs()).length === 1);
    await started.system.kill9();
    await started.system.start();
    await expectOneSuccess(started, job.id);
  });
});

describe('a child that is killed', () => {
  it.each<[ChildName, readonly string[]]>([
    ['temporal', ['temporal', 'temporal_process']],
    ['postgres', ['database', 'postgres_process']],
    ['emulators', ['emulators_process']],
  ])('(%s) is started again, readiness says so meanwhile, and the job goes on', async (name, checks) => {
    const started = await start();
    const job = await newJob(started, 6);
    await started.client.whenJob(job.id, 'running', running);
    const pid = started.system.childPid(name);
    process.kill(pid, 'SIGKILL');
    const away = await until(
      'not ready',
      async () => {
        const seen = await readiness(started);
        return seen.status === 'not_ready' && seen.checks;
      },
      { everyMs: 1 },
    );
    expect(checks.map((check) => away[check]?.status)).toContain('failed');
    await until('another process', () => started.system.childPid(name) !== pid);
    await whenReady(started);
    await expectOneSuccess(started, job.id);
  });
});

describe('while Temporal hangs', () => {
  it('reads and creates work, a create runs later, and a cancel takes effect later', async () => {
    const started = await start();
    const { client, system, emulators } = started;
    const cancelled = await newJob(started, 60);
    await client.whenJob(cancelled.id, 'running', running);
    await emulators().jobSeconds(2);

    const temporal = system.childPid('temporal');
    process.kill(temporal, 'SIGSTOP');
    const accepted = await client.create({ virtualKey: 'sandbox', training_file: cancelled.training_file });
    expect(accepted.status).toBe('validating_files');
    expect(await client.act(cancelled.id, 'cancel')).toMatchObject({
      status: 'running',
      gateway: { cancel_requested: true },
    });
    expect(await client.job(cancelled.id)).toMatchObject({ status: 'running' });
    expect(await client.events(cancelled.id)).not.toHaveLength(0);
    const paused = await client.call('POST', `/v1/fine_tuning/jobs/${cancelled.id}/pause`);
    expect(paused.status).toBe(503);
    expect(client.errorOf(paused).code).toBe('temporal_unavailable');
    expect(await emulators().jobs()).toHaveLength(1);

    process.kill(temporal, 'SIGCONT');
    expect((await client.whenEnded(cancelled.id, { deadlineMs: 120_000 })).status).toBe('cancelled');
    expect((await client.whenEnded(accepted.id, { deadlineMs: 120_000 })).status).toBe('succeeded');
    const states = (await emulators().jobs()).map(({ state }) => state);
    expect(states.toSorted((one, other) => one.localeCompare(other))).toEqual(['cancelled', 'succeeded']);
  });
});

it('answers 503 with the envelope while PostgreSQL is away, and goes on after it', async () => {
  const started = await start();
  const { client, system } = started;
  const file = await client.dataset();
  const postmaster = system.childPid('postgres');
  process.kill(postmaster, 'SIGKILL');
  const refused = await until(
    'a refusal',
    async () => {
      const answer = await client.call('GET', `/v1/files/${file}`);
      return answer.status !== 200 && answer;
    },
    { everyMs: 1 },
  );
  expect(refused.status).toBe(503);
  expect(client.errorOf(refused)).toMatchObject({ code: 'database_unavailable', type: 'server_error' });
  await whenReady(started);
  await until('the file', async () => (await client.call('GET', `/v1/files/${file}`)).status === 200);
});

it('stays running while the provider is silent, and goes on', async () => {
  const started = await start();
  const { client, system } = started;
  const job = await newJob(started, 6);
  await client.whenJob(job.id, 'running', running);
  const emulators = system.childPid('emulators');
  process.kill(emulators, 'SIGSTOP');
  const away = await client.whenJob(job.id, 'away', ({ gateway }) => gateway.provider_unreachable_since !== null);
  expect(away.status).toBe('running');
  process.kill(emulators, 'SIGCONT');
  await expectOneSuccess(started, job.id);
  expect((await client.job(job.id)).gateway.provider_unreachable_since).toBeNull();
});

it('lives beside another start, refuses a second one in its home, and stops in order while an upload is under way', async () => {
  const [one, other] = await Promise.all([start(), start()]);
  const first = await newJob(one, 2);
  const second = await newJob(other, 2);
  expect((await one.client.whenEnded(first.id)).status).toBe('succeeded');
  expect((await other.client.whenEnded(second.id)).status).toBe('succeeded');
  expect((await one.client.call('GET', `/v1/fine_tuning/jobs/${second.id}`)).status).toBe(404);

  const refused = await runToEnd(['up'], systemEnvironment(one.system.home));
  expect(refused.code).toBe(1);
  expect(refused.output).toContain(`in use by process ${one.system.process().pid}`);
  expect((await readiness(one)).status).toBe('ready');

  const open = await newJob(one, 600);
  const known = await one.client.whenJob(open.id, 'made', ({ gateway }) => gateway.provider_job_id !== null);
  const children = (['temporal', 'postgres', 'emulators'] as const).map((name) => identify(one.system.childPid(name)));
  const { url, apiKey } = one.system.addresses();
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      sent += 1;
      controller.enqueue(new TextEncoder().encode(sent === 1 ? UPLOAD_HEAD : `${'{"x":1}'.repeat(100)}\n`));
    },
  });
  const upload = fetch(`${url}/v1/files`, {
    method: 'POST',
    headers: { 'x-portkey-api-key': apiKey, 'content-type': 'multipart/form-data; boundary=b' },
    body: endless,
    duplex: 'half',
  }).then(
    () => 'answered',
    () => 'cut off',
  );
  await until('an upload under way', () => sent > 20);
  const end = await one.system.stop();
  expect(end).toMatchObject({ code: 0, signal: null });
  expect(end.tookMs).toBeLessThan(15_000);
  await upload;
  expect(children.map((child) => child !== undefined && isRunning(child))).toEqual([false, false, false]);

  // The next start has the job, and nothing of the upload.
  await one.system.start();
  expect(await one.client.job(open.id)).toMatchObject({
    status: 'validating_files',
    gateway: { provider_job_id: known.gateway.provider_job_id },
  });
  const files = await one.client.call('GET', '/v1/files');
  const listed: { data: { filename: string }[] } = JSON.parse(files.text);
  expect(listed.data.map(({ filename }) => filename)).not.toContain('endless.jsonl');
});

const UPLOAD_HEAD = [
  '--b\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nfine-tune\r\n',
  '--b\r\ncontent-disposition: form-data; name="file"; filename="endless.jsonl"\r\n\r\n',
].join('');
