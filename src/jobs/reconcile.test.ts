import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { createJobServiceSetup, type JobServiceSetup } from '../../test/support/job-service.js';
import type { ReconcileReport } from '../domain/activities.js';
import { parseCreateJob } from '../http/schemas/job-request.js';
import type { JobRow } from '../store/jobs.js';
import { createReconciler } from './reconcile.js';
import type { JobWorkflows } from './workflows-port.js';

let database: TestDatabase;
let setup: JobServiceSetup;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(async () => {
  await database.drop();
});
beforeEach(async () => {
  for (const table of ['jobEvents', 'jobs', 'virtualKeys', 'files'] as const) {
    await database.database.deleteFrom(table).execute();
  }
  setup = await createJobServiceSetup(database.database);
});

/** A job accepted a minute ago. */
async function oldJob(options: { readonly started: boolean } = { started: true }): Promise<JobRow> {
  setup.workflows.down = !options.started;
  const row = await setup.service.create({
    caller: setup.caller,
    request: parseCreateJob({ model: 'gpt-4o-mini', training_file: 'file-train' }),
    idempotencyKey: null,
    retryCount: 0,
    stillWanted: () => true,
  });
  setup.workflows.down = false;
  if (row === null) throw new Error('the create was abandoned');
  const minuteAgo = sql<Date>`clock_timestamp() - interval '1 minute'`;
  await database.database
    .updateTable('jobs')
    .set({ createdAt: minuteAgo, updatedAt: minuteAgo, nextPollAt: minuteAgo })
    .where('id', '=', row.id)
    .execute();
  setup.logged.length = 0;
  return setup.jobs.get(row.id);
}

function round(
  options: { readonly adoptLostRuns?: boolean; readonly workflows?: JobWorkflows } = {},
): Promise<ReconcileReport> {
  const log = (_: object, message: string): void => {
    setup.logged.push(message);
  };
  return createReconciler({
    jobs: setup.jobs,
    workflows: options.workflows ?? setup.workflows,
    startFromRow: setup.startFromRow,
    adoptLostRuns: options.adoptLostRuns ?? false,
    graceMs: 30_000,
    log: { warn: log, error: log },
  })();
}

const nothing = { examined: 0, started: 0, adopted: 0, signalled: 0, more: false };
const lastStart = () => setup.workflows.starts.at(-1);

it('starts a job that was accepted while Temporal was away, with the cancel that came meanwhile', async () => {
  const row = await oldJob({ started: false });
  await setup.jobs.markCancelRequested(row.id);
  expect(await round()).toEqual({ ...nothing, examined: 1, started: 1 });
  expect(lastStart()).toMatchObject({
    mode: 'first',
    input: { jobId: row.id, startAt: 'validate', cancelRequested: true },
  });
  expect((await setup.jobs.get(row.id)).workflowStartedAt).toBeInstanceOf(Date);
});

it('leaves alone what is young, finished, or running as it should, and looks at each row once', async () => {
  const running = await oldJob();
  const finished = await oldJob();
  await setup.jobs.recordState(finished.id, { runId: 'a', sequence: 1 }, { status: 'failed', phase: 'finished' });
  expect(await round()).toEqual({ ...nothing, examined: 1 });
  expect(await round()).toEqual(nothing);
  expect((await setup.jobs.get(running.id)).updatedAt.getTime()).toBeGreaterThan(running.updatedAt.getTime());
});

it('signals a cancel again that the workflow has not acknowledged', async () => {
  const row = await oldJob();
  const minuteAgo = sql<Date>`clock_timestamp() - interval '1 minute'`;
  await database.database.updateTable('jobs').set({ cancelRequestedAt: minuteAgo }).execute();
  expect(await round()).toEqual({ ...nothing, examined: 1, signalled: 1 });
  expect(setup.workflows.signals).toEqual([row.id]);
  await setup.jobs.recordState(row.id, { runId: 'a', sequence: 1 }, { phase: 'cancelling' });
  expect(await round()).toMatchObject({ signalled: 0 });
});

it.each(['terminated', 'timed_out'] as const)('adopts a %s run, with its cancel in the row first', async (status) => {
  const row = await oldJob();
  setup.workflows.runs.set(row.id, status);
  expect(await round()).toEqual({ ...nothing, examined: 1, adopted: 1 });
  expect(lastStart()).toMatchObject({ mode: 'adopt', input: { cancelRequested: true } });
  expect((await setup.jobs.get(row.id)).cancelRequestedAt).toBeInstanceOf(Date);
});

it.each(['completed', 'failed', 'cancelled'] as const)(
  'adopts a %s run that left its row open, as it stands',
  async (status) => {
    const row = await oldJob();
    await database.database
      .updateTable('jobs')
      .set({
        submitAttemptedAt: new Date(),
        providerJobId: `ftjob-remote-${status}`,
        status: 'running',
        remoteFiles: '{"training":"file-r"}',
      })
      .execute();
    setup.workflows.runs.set(row.id, status);
    expect(await round()).toEqual({ ...nothing, examined: 1, adopted: 1 });
    expect(lastStart()?.input).toMatchObject({
      startAt: 'wait',
      providerJobId: `ftjob-remote-${status}`,
      status: 'running',
      remoteFiles: { training: 'file-r' },
      cancelRequested: false,
    });
    expect(setup.logged).toHaveLength(1);
  },
);

it("looks for the provider's job where a create was attempted", async () => {
  const row = await oldJob();
  await database.database.updateTable('jobs').set({ submitAttemptedAt: new Date() }).execute();
  setup.workflows.runs.set(row.id, 'failed');
  await round();
  expect(lastStart()?.input).toMatchObject({ startAt: 'submit' });
  expect(lastStart()?.input.providerJobId).toBeUndefined();
});

it('adopts a run that Temporal does not know only where Temporal is ours', async () => {
  const rows = [await oldJob(), await oldJob()];
  for (const row of rows) setup.workflows.runs.delete(row.id);
  setup.workflows.starts.length = 0;
  expect(await round()).toEqual({ ...nothing, examined: 2 });
  expect(setup.workflows.starts).toEqual([]);
  expect(setup.logged).toHaveLength(1);
  await database.database
    .updateTable('jobs')
    .set({ updatedAt: sql<Date>`clock_timestamp() - interval '1 minute'` })
    .execute();
  expect(await round({ adoptLostRuns: true })).toEqual({ ...nothing, examined: 2, adopted: 2 });
});

it('leaves the closed run of a job that can no longer be observed', async () => {
  const row = await oldJob();
  await setup.jobs.recordState(row.id, { runId: 'a', sequence: 1 }, { phase: 'unobserved' });
  await database.database
    .updateTable('jobs')
    .set({ updatedAt: sql<Date>`clock_timestamp() - interval '1 minute'` })
    .execute();
  setup.workflows.runs.set(row.id, 'completed');
  expect(await round()).toEqual({ ...nothing, examined: 1 });
});

it('goes on with the others where one job cannot be seen to', async () => {
  const bad = await oldJob();
  const good = await oldJob({ started: false });
  const workflows: JobWorkflows = {
    ...setup.workflows,
    describe: (jobId, deadlineMs) =>
      jobId === bad.id ? Promise.reject(new Error('odd')) : setup.workflows.describe(jobId, deadlineMs),
  };
  expect(await round({ workflows })).toEqual({ ...nothing, examined: 2, started: 1 });
  expect(setup.workflows.runs.get(good.id)).toBe('running');
  expect((await setup.jobs.get(bad.id)).updatedAt.getTime()).toBeGreaterThan(bad.updatedAt.getTime());
});
