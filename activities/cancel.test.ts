import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { attempt, createActivitySetup, delayOf, type ActivitySetup } from '../test/support/activity-setup.js';
import { createTestDatabase, type TestDatabase } from '../test/support/database.js';
import { refusal } from '../test/support/scripted-provider.js';

let test: TestDatabase;
let setup: ActivitySetup;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());
beforeEach(async () => {
  await test.database.deleteFrom('jobEvents').execute();
  await test.database.deleteFrom('jobs').execute();
  setup = await createActivitySetup(test.database);
});

const cancel = (providerJobId: string | null = null) =>
  attempt(setup.activities.cancelAtProvider, { jobId: setup.jobId, version: setup.version(3), providerJobId });

describe('a cancel at the provider', () => {
  it('of a job that was never sent asks nobody', async () => {
    expect((await cancel()).result).toEqual({ outcome: 'nothing_there', providerJobId: null });
    expect(setup.vendor.calls).toEqual([]);
  });

  it('by the id', async () => {
    setup.vendor.addJob(setup.jobId, { status: 'running' });
    expect((await cancel('job-1')).result).toEqual({ outcome: 'requested', providerJobId: 'job-1' });
    expect(setup.vendor.jobs[0]?.job.status).toBe('cancelled');
  });

  it('takes the id from the row where the run does not know it', async () => {
    setup.vendor.addJob(setup.jobId, { status: 'running' });
    await setup.dependencies.submissions.bindProviderJob(setup.jobId, 'job-1', '2026-01-01T00:00:00.000Z');
    expect((await cancel()).result).toEqual({ outcome: 'requested', providerJobId: 'job-1' });
  });

  it.each(['succeeded', 'failed', 'cancelled'] as const)('of one that is %s is too late', async (status) => {
    setup.vendor.addJob(setup.jobId, { status });
    expect((await cancel('job-1')).result).toEqual({ outcome: 'finished', providerJobId: 'job-1' });
  });

  it('of one that is gone is too late: the wait finds out', async () => {
    expect((await cancel('job-1')).result).toEqual({ outcome: 'finished', providerJobId: 'job-1' });
  });

  it('finds what a create without an answer has made, binds it, and cancels doubles with it', async () => {
    await setup.submitBegunAgo(1_000);
    setup.vendor.addJob(setup.jobId, { status: 'running' });
    setup.vendor.addJob(setup.jobId, { status: 'running' });
    expect((await cancel()).result).toEqual({ outcome: 'requested', providerJobId: 'job-1' });
    expect(setup.vendor.jobs.map(({ job }) => job.status)).toEqual(['cancelled', 'cancelled']);
    expect((await setup.row()).providerJobId).toBe('job-1');
  });

  it('waits out the list delay before it says that nothing is there', async () => {
    await setup.submitBegunAgo(35_000);
    const waiting = await cancel();
    expect(waiting.failure).toMatchObject({ type: 'provider_list_delay', category: 'BENIGN' });
    expect(delayOf(waiting)).toBeLessThanOrEqual(5_002);
    expect(delayOf(waiting)).toBeGreaterThan(2_000);
    await setup.submitBegunAgo(41_000);
    expect((await cancel()).result).toEqual({ outcome: 'nothing_there', providerJobId: null });
  });

  it.each(['findJobs', 'cancelJob'] as const)('is never given up for a refused %s', async (method) => {
    await setup.submitBegunAgo(1_000);
    setup.vendor.addJob(setup.jobId, { status: 'running' });
    setup.vendor.fail(method, refusal('provider_auth_error', 401));
    expect((await cancel()).failure).toMatchObject({ type: 'provider_auth_error', nonRetryable: false });
    expect((await setup.row()).lastError).toMatchObject({ code: 'provider_auth_error' });
    expect((await cancel()).result).toMatchObject({ outcome: 'requested' });
    expect((await setup.row()).lastError).toBeNull();
  });
});

describe('pause and resume at the provider', () => {
  const control = (action: 'pause' | 'resume', sequence = 4) =>
    attempt(setup.activities.controlJob, {
      jobId: setup.jobId,
      version: setup.version(sequence),
      providerJobId: 'job-1',
      action,
    });

  it('write the status that the provider answers, with an event each', async () => {
    setup.vendor.addJob(setup.jobId, { status: 'running' });
    await setup.dependencies.jobs.recordState(setup.jobId, setup.version(3), { status: 'running', phase: 'waiting' });
    expect((await control('pause')).result).toEqual({ status: 'paused', phase: 'waiting' });
    expect((await control('resume', 5)).result).toEqual({ status: 'running', phase: 'waiting' });
    expect((await setup.events()).map(({ message }) => message)).toEqual([
      'Created',
      'Pausing the job',
      'Resuming the job',
    ]);
  });

  it('fail with the refusal, and write nothing', async () => {
    setup.vendor.addJob(setup.jobId, { status: 'succeeded' });
    expect((await control('pause')).failure).toMatchObject({ type: 'provider_wrong_state', nonRetryable: true });
    expect(await setup.row()).toMatchObject({ status: 'validating_files', stateSequence: 0 });
  });
});
