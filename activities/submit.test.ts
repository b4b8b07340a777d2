import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  attempt,
  createActivitySetup,
  createAttempts,
  delayOf,
  type ActivitySetup,
} from '../test/support/activity-setup.js';
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

/** By the worker, the create takes 30 s at the most, and this vendor's list lacks a job for 10 s. */
const UNLISTED_MS = 40_000;

const files = { training: 'remote-training', validation: 'remote-validation' };
const submit = () => attempt(setup.activities.submitJob, { jobId: setup.jobId, version: setup.version(), files });
const createFailed = (error: unknown) => {
  setup.vendor.fail('createJob', error);
};

describe('a submit', () => {
  it('looks for the marker, creates, looks for doubles, and has the id in the row before it returns', async () => {
    const { result } = await submit();
    expect(result).toEqual({
      status: 'queued',
      phase: 'waiting',
      providerJobId: 'job-1',
      submittedAt: '2026-01-01T00:00:00.000Z',
    });
    expect(setup.vendor.calls).toEqual(['findJobs', 'createJob', 'findJobs']);
    expect(await setup.row()).toMatchObject({ providerJobId: 'job-1', status: 'queued', phase: 'waiting' });
    expect((await setup.events()).map(({ sourceId }) => sourceId)).toEqual(['gateway:created', 'gateway:submitted']);
  });

  it('has the begin of the create in the row before it sends it', async () => {
    setup.vendor.before('createJob', async () => {
      expect((await setup.row()).submitAttemptedAt).toBeInstanceOf(Date);
    });
    expect((await submit()).failure).toBeNull();
  });

  it('repeated, asks nothing but for doubles, whatever the provider says of the job', async () => {
    await submit();
    setup.vendor.calls.length = 0;
    setup.vendor.fail('getJob', refusal('provider_auth_error', 401));
    expect((await submit()).result).toMatchObject({ providerJobId: 'job-1', submittedAt: '2026-01-01T00:00:00.000Z' });
    expect(setup.vendor.calls).toEqual(['findJobs']);
    expect((await setup.events()).filter(({ sourceId }) => sourceId === 'gateway:submitted')).toHaveLength(1);
  });
});

describe('after a create whose answer was lost', () => {
  it('the next attempt finds the job by its marker, and makes no other', async () => {
    setup.vendor.loseAnswerOfCreate();
    const lost = await submit();
    expect(lost.failure).toMatchObject({ type: 'provider_unavailable', nonRetryable: false });
    expect((await submit()).result).toMatchObject({ providerJobId: 'job-1' });
    expect(setup.vendor.called('createJob')).toBe(1);
  });

  it('"not there" does not count within the list delay, which begins when the create can last have ended', async () => {
    setup.vendor.loseAnswerOfCreate();
    setup.vendor.hideNewJobs = true;
    await submit();
    for (const ageMs of [100, 11_000, UNLISTED_MS - 2_000]) {
      await setup.submitBegunAgo(ageMs);
      const again = await submit();
      expect(again.failure).toMatchObject({ type: 'provider_list_delay', category: 'BENIGN' });
      expect(delayOf(again)).toBeGreaterThan(UNLISTED_MS - ageMs - 2_000);
      expect(delayOf(again)).toBeLessThanOrEqual(UNLISTED_MS - ageMs + 2);
    }
    setup.vendor.unlisted.clear();
    expect((await submit()).result).toMatchObject({ providerJobId: 'job-1' });
    expect(setup.vendor.jobs).toHaveLength(1);
  });

  it('that had never arrived: claims again after the list delay and creates once', async () => {
    createFailed(refusal('provider_unavailable'));
    await submit();
    await setup.submitBegunAgo(UNLISTED_MS + 1_000);
    expect((await submit()).result).toMatchObject({ providerJobId: 'job-1' });
    expect(setup.vendor.jobs).toHaveLength(1);
  });

  it.each([
    ['an error of the provider', refusal('provider_unavailable', 500)],
    ['a conflict, which can be with our own job', refusal('provider_conflict', 409)],
    ["a proxy's page", refusal('provider_invalid_response', 403)],
    ['a fault of ours', new Error('anything')],
  ])('%s is retried, and keeps the claim', async (_, error) => {
    createFailed(error);
    expect((await submit()).failure).toMatchObject({ nonRetryable: false });
    expect((await setup.row()).submitAttemptedAt).not.toBeNull();
    expect((await submit()).failure).toMatchObject({ type: 'provider_list_delay' });
  });
});

describe('two workers at the same submit', () => {
  it('create one job: the claim goes to one of them', async () => {
    const ends = await Promise.all([submit(), submit(), submit()]);
    expect(setup.vendor.jobs).toHaveLength(1);
    const failures = ends.flatMap(({ failure }) => failure ?? []);
    for (const failure of failures) {
      expect(['submit_in_progress', 'provider_list_delay']).toContain('type' in failure && failure.type);
    }
    expect((await submit()).result).toMatchObject({ providerJobId: 'job-1' });
  });

  it('where one stalled and created all the same: what the row has is kept, the other is cancelled with an event', async () => {
    setup.vendor.before('createJob', async () => {
      // This worker stalls; the list delay passes, and another one creates and binds.
      await setup.submitBegunAgo(UNLISTED_MS + 1_000);
      expect((await submit()).result).toMatchObject({ providerJobId: 'job-1' });
    });
    expect((await submit()).result).toMatchObject({ providerJobId: 'job-1' });
    expect(setup.vendor.jobs.map(({ job }) => `${job.id} ${job.status ?? ''}`)).toEqual([
      'job-1 queued',
      'job-2 cancelled',
    ]);
    expect((await setup.events()).filter(({ sourceId }) => sourceId === 'gateway:double_job-2')).toHaveLength(1);
  });

  it('also where the list does not show the second one yet', async () => {
    setup.vendor.hideNewJobs = true;
    setup.vendor.before('createJob', async () => {
      await setup.submitBegunAgo(UNLISTED_MS + 1_000);
      await submit();
    });
    await submit();
    expect(setup.vendor.jobs.map(({ job }) => job.status)).toEqual(['queued', 'cancelled']);
    expect((await setup.events()).map(({ sourceId }) => sourceId)).toContain('gateway:double_job-2');
  });

  it('of doubles that nobody has bound the oldest is kept', async () => {
    for (let count = 0; count < 3; count += 1) setup.vendor.addJob(setup.jobId);
    expect((await submit()).result).toMatchObject({ providerJobId: 'job-1' });
    expect(setup.vendor.jobs.map(({ job }) => job.status)).toEqual(['queued', 'cancelled', 'cancelled']);
    expect(setup.vendor.called('createJob')).toBe(0);
  });
});

describe("a job with the marker that is another row's", () => {
  it('is neither adopted nor cancelled', async () => {
    const other = await setup.addJob();
    setup.vendor.addJob(setup.jobId);
    await setup.dependencies.submissions.bindProviderJob(other, 'job-1', '2026-01-01T00:00:00.000Z');
    expect((await submit()).result).toMatchObject({ providerJobId: 'job-2' });
    expect(setup.vendor.jobs.map(({ job }) => job.status)).toEqual(['queued', 'queued']);
  });

  it('is not cancelled as a double either', async () => {
    const other = await setup.addJob();
    setup.vendor.addJob(setup.jobId);
    setup.vendor.addJob(setup.jobId);
    await setup.dependencies.submissions.bindProviderJob(other, 'job-2', '2026-01-01T00:00:00.000Z');
    expect((await submit()).result).toMatchObject({ providerJobId: 'job-1' });
    expect(setup.vendor.jobs.map(({ job }) => job.status)).toEqual(['queued', 'queued']);
  });
});

describe('a refusal', () => {
  it('of the create by a bad request ends the job, and takes the claim back', async () => {
    createFailed(refusal('provider_bad_request', 400, { param: 'suffix', rawCode: 'invalid_suffix' }));
    const { failure } = await submit();
    expect(failure).toMatchObject({
      type: 'provider_bad_request',
      nonRetryable: true,
      details: [{ param: 'suffix', rawCode: 'invalid_suffix', providerStatus: 400 }],
    });
    expect((await setup.row()).submitAttemptedAt).toBeNull();
    expect((await setup.row()).lastError).toMatchObject({ code: 'provider_bad_request' });
  });

  it('by the adapter, before anything was sent, ends the job, and takes the claim back', async () => {
    createFailed(refusal('unsupported_parameter'));
    expect((await submit()).failure).toMatchObject({ type: 'unsupported_parameter', nonRetryable: true });
    expect((await setup.row()).submitAttemptedAt).toBeNull();
  });

  it('of the credentials by the create ends the job, with an earlier attempt too', async () => {
    createFailed(refusal('provider_auth_error', 401));
    expect((await submit()).failure).toMatchObject({ type: 'provider_auth_error', nonRetryable: true });

    await setup.submitBegunAgo(UNLISTED_MS + 1_000);
    createFailed(refusal('provider_auth_error', 401));
    expect((await submit()).failure).toMatchObject({ type: 'provider_auth_error', nonRetryable: true });
    expect((await setup.row()).submitAttemptedAt).not.toBeNull();
  });

  it('of the credentials by the search ends the job only where no create was ever begun', async () => {
    setup.vendor.fail('findJobs', refusal('provider_auth_error', 403));
    expect((await submit()).failure).toMatchObject({ type: 'provider_auth_error', nonRetryable: true });
    await setup.submitBegunAgo(1_000);
    setup.vendor.fail('findJobs', refusal('provider_auth_error', 403));
    expect((await submit()).failure).toMatchObject({ type: 'provider_auth_error', nonRetryable: false });
  });

  it('of the search for doubles after the create never ends the job that was made', async () => {
    setup.vendor.before('createJob', () => {
      setup.vendor.fail('findJobs', refusal('provider_auth_error', 401));
      return Promise.resolve();
    });
    expect((await submit()).failure).toMatchObject({ type: 'provider_auth_error', nonRetryable: false });
    expect((await setup.row()).providerJobId).toBe('job-1');
    expect((await submit()).result).toMatchObject({ providerJobId: 'job-1' });
    expect(setup.vendor.called('createJob')).toBe(1);
  });

  it('for quota is waiting: queued in the row, with the reason, the claim taken back, and gone when it goes through', async () => {
    const attempts = createAttempts(setup.activities.submitJob, {
      jobId: setup.jobId,
      version: setup.version(),
      files,
    });
    createFailed(refusal('provider_quota_exceeded', 429));
    const first = await attempts.next();
    expect(first.failure).toMatchObject({ type: 'provider_quota_exceeded', nonRetryable: false });
    expect(delayOf(first)).toBe(60_000);
    expect(await setup.row()).toMatchObject({
      status: 'queued',
      phase: 'submitting',
      submitAttemptedAt: null,
      lastError: { code: 'provider_quota_exceeded' },
    });
    createFailed(refusal('provider_quota_exceeded', 429, { retryAfterMs: 5_000 }));
    expect(delayOf(await attempts.next())).toBe(5_000);
    expect((await attempts.next()).result).toMatchObject({ providerJobId: 'job-1', status: 'queued' });
    expect((await setup.row()).lastError).toBeNull();
  });

  it('to go so fast is retried after what it asks for, between a second and an hour', async () => {
    for (const [askedMs, delayMs] of [
      [10, 1_000],
      [30_000, 30_000],
      [86_400_000, 3_600_000],
    ] as const) {
      createFailed(refusal('provider_rate_limited', 429, { retryAfterMs: askedMs }));
      expect(delayOf(await submit())).toBe(delayMs);
    }
    expect((await setup.row()).submitAttemptedAt).toBeNull();
  });
});

describe('a row that is terminal already', () => {
  const finish = () =>
    setup.dependencies.jobs.recordState(setup.jobId, setup.version(9), { status: 'cancelled', phase: 'finished' });

  it('gets no job made', async () => {
    await finish();
    expect((await submit()).failure).toMatchObject({ type: 'invalid_job_state', nonRetryable: true });
    expect(setup.vendor.called('createJob')).toBe(0);
  });

  it('by the time the create returns has the new job cancelled', async () => {
    setup.vendor.before('createJob', async () => {
      await finish();
    });
    expect((await submit()).result).toMatchObject({ status: 'cancelled', providerJobId: 'job-1' });
    expect(setup.vendor.jobs.map(({ job }) => job.status)).toEqual(['cancelled']);
    expect(await setup.row()).toMatchObject({ status: 'cancelled', phase: 'finished', providerJobId: 'job-1' });
  });
});
