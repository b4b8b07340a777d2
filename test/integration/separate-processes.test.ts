import { mkdir, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startEmbeddedPostgres, type EmbeddedPostgres } from '../../src/store/embedded.js';
import type { EmbeddedTemporal } from '../../src/temporal/embedded.js';
import { startOwnEmulators, type EmulatorControl } from '../support/emulator-control.js';
import { createGatewayClient, type GatewayClient, type Job } from '../support/gateway-client.js';
import { outputOf, runToEnd, startProcess, type RunningProcess } from '../support/running-process.js';
import { newHome } from '../support/running-system.js';
import { startTestTemporal } from '../support/temporal.js';
import { until } from '../support/until.js';

let home: string;
let environment: Readonly<Record<string, string>>;
let postgres: EmbeddedPostgres;
let temporal: EmbeddedTemporal;
let connection: Connection;
let temporalClient: Client;
let emulators: EmulatorControl & { close(): Promise<void> };
let gateway: RunningProcess;
let worker: RunningProcess;
let client: GatewayClient;
let slug: string;

beforeAll(async () => {
  home = await newHome();
  const apiKey = `tsk-${randomBytes(24).toString('hex')}`;
  [postgres, temporal, emulators] = await Promise.all([
    startEmbeddedPostgres({ home, log: () => undefined }),
    // Without our search attributes: the worker registers them.
    startTestTemporal(home),
    startOwnEmulators(),
  ]);
  await mkdir(join(home, 'files'));
  environment = {
    DATABASE_URL: postgres.databaseUrl,
    TEMPORAL_ADDRESS: temporal.address,
    FILE_STORE: `file:${join(home, 'files')}`,
    TUNESMITH_MASTER_KEY: randomBytes(32).toString('base64'),
    TUNESMITH_API_KEY: apiKey,
    PORT: '0',
    POLL_INTERVAL_SCALE: '0.1',
  };
  gateway = startProcess(['gateway'], environment);
  worker = startProcess(['worker'], environment);
  const [, url = ''] = await outputOf(gateway, /"url":"(http:[^"]+)"/);
  await outputOf(worker, /workers are running/);
  client = createGatewayClient(() => ({ url, apiKey }));
  ({ slug } = await client.newVirtualKey(emulators));
  connection = await Connection.connect({ address: temporal.address });
  temporalClient = new Client({ connection });
});
afterAll(async () => {
  await connection.close();
  const ends = await Promise.all([gateway.stop(), worker.stop()]);
  await Promise.all([postgres.stop(), temporal.stop(), emulators.close()]);
  await rm(home, { recursive: true, force: true });
  expect(
    ends.map(({ code }) => code),
    worker.output().slice(-3_000),
  ).toEqual([0, 0]);
});

const handle = (id: string) => temporalClient.workflow.getHandle(id);

async function runningJob(seconds: number): Promise<Job> {
  await emulators.jobSeconds(seconds);
  const job = await client.create({ virtualKey: slug, training_file: await client.dataset() });
  const made = await client.whenJob(job.id, 'made', ({ gateway }) => gateway.provider_job_id !== null);
  await emulators.force(made.gateway.provider_job_id ?? '', 'running');
  return client.whenJob(job.id, 'running', ({ status }) => status === 'running');
}
const stateOf = async (job: Job): Promise<string | undefined> =>
  (await emulators.jobs()).find(({ id }) => id === job.gateway.provider_job_id)?.state;
const runStatus = (id: string): Promise<string> =>
  until('the end of the run', async () => {
    const { name } = (await handle(id).describe()).status;
    return name !== 'RUNNING' && name;
  });
const sameMoment = (id: string): Promise<readonly [Job, unknown]> =>
  until('an answer of both in the same state', async () => {
    const before = await client.job(id);
    const view = await handle(id).query<Record<string, unknown>>('status');
    const after = await client.job(id);
    return before.status === after.status && before.gateway.phase === after.gateway.phase && ([after, view] as const);
  });

describe('on a Temporal server started apart', () => {
  it.each(['gateway', 'worker'])('a %s with another master key refuses to start', async (command) => {
    const otherKey = { ...environment, TUNESMITH_MASTER_KEY: randomBytes(32).toString('base64') };
    const { code, output } = await runToEnd([command], otherKey);
    expect(code).toBe(1);
    expect(output).toContain('another master key');
  });

  it('the status query agrees with GET, from the beginning to the end', async () => {
    const job = await runningJob(6);
    const [now, view] = await sameMoment(job.id);
    expect(view).toMatchObject({
      jobId: job.id,
      status: now.status,
      phase: now.gateway.phase,
      providerJobId: now.gateway.provider_job_id,
      cancelRequested: false,
    });
    await client.whenEnded(job.id);
    expect(await runStatus(job.id)).toBe('COMPLETED');
    const [end, last] = await sameMoment(job.id);
    expect(last).toMatchObject({
      status: 'succeeded',
      phase: 'finished',
      fineTunedModel: end.fine_tuned_model,
      trainedTokens: end.trained_tokens,
      resultFiles: end.result_files,
    });
    const { historyLength } = await handle(job.id).describe();
    expect(historyLength).toBeLessThanOrEqual(80);
  });

  it('a list filtered by our search attribute finds a job, first as running and then as cancelled', async () => {
    const job = await runningJob(60);
    const found = async (status: string): Promise<boolean> => {
      const query = `TunesmithStatus = '${status}' AND TunesmithProvider = 'openai' AND TunesmithModel = 'gpt-4o-mini'`;
      for await (const run of temporalClient.workflow.list({ query })) if (run.workflowId === job.id) return true;
      return false;
    };
    await until('the job among the running ones', () => found('running'));
    await client.act(job.id, 'cancel');
    await until('the job among the cancelled ones', () => found('cancelled'));
    expect(await found('running')).toBe(false);
  });

  it.each([
    ['the signal `cancel`', (id: string) => handle(id).signal('cancel'), 'COMPLETED'],
    ['a cancellation of the run', (id: string) => handle(id).cancel(), 'CANCELLED'],
  ] as const)('%s ends the job at the provider', async (_, cancel, closed) => {
    const job = await runningJob(60);
    await cancel(job.id);
    const end = await client.whenEnded(job.id);
    expect(end).toMatchObject({ status: 'cancelled', gateway: { cancel_requested: true } });
    expect(await stateOf(job)).toBe('cancelled');
    expect(await runStatus(job.id)).toBe(closed);
  });

  it('a run that was terminated is adopted with its cancel, and the job ends at the provider', async () => {
    const job = await runningJob(300);
    const { runId } = await handle(job.id).describe();
    await handle(job.id).terminate('by an operator');
    const end = await client.whenEnded(job.id, { deadlineMs: 120_000 });
    expect(end).toMatchObject({ status: 'cancelled', gateway: { cancel_requested: true } });
    expect(await stateOf(job)).toBe('cancelled');
    const adopted = await handle(job.id).describe();
    expect(adopted.runId).not.toBe(runId);
    expect(await runStatus(job.id)).toBe('COMPLETED');
  });

  it('a run that is reset to its beginning submits nothing twice, and the job succeeds', async () => {
    const job = await runningJob(8);
    const before = (await emulators.calls('createFineTuningJob')).length;
    const { runId } = await handle(job.id).describe();
    const { events } = await handle(job.id).fetchHistory();
    const firstTask = events?.find((event) => event.workflowTaskCompletedEventAttributes != null)?.eventId;
    await connection.workflowService.resetWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId: job.id, runId },
      reason: 'by an operator',
      workflowTaskFinishEventId: firstTask ?? null,
      requestId: randomBytes(8).toString('hex'),
    });
    const end = await client.whenEnded(job.id);
    expect(end).toMatchObject({
      status: 'succeeded',
      gateway: { provider_job_id: job.gateway.provider_job_id },
    });
    expect(await emulators.calls('createFineTuningJob')).toHaveLength(before);
    expect(await runStatus(job.id)).toBe('COMPLETED');
  });
});
