import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { AwaitChangeInput } from '../src/domain/activities.js';
import { GatewayError } from '../src/domain/errors.js';
import type { JobStatus } from '../src/domain/job-state.js';
import type { RemoteEvent } from '../src/domain/provider-port.js';
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
  await test.database.deleteFrom('jobCheckpoints').execute();
  await test.database.deleteFrom('jobEvents').execute();
  await test.database.deleteFrom('jobs').execute();
  setup = await createActivitySetup(test.database);
  setup.vendor.addJob(setup.jobId, { status: 'running', rawStatus: 'running' });
  await setup.dependencies.jobs.recordState(setup.jobId, setup.version(1), { status: 'running', phase: 'waiting' });
});

const MINUTE_MS = 60_000;

function input(change: Partial<AwaitChangeInput> = {}): AwaitChangeInput {
  return {
    jobId: setup.jobId,
    version: setup.version(2),
    providerJobId: 'job-1',
    submittedAt: new Date(setup.clock.nowMs).toISOString(),
    seen: ['validating_files', 'queued', 'running'],
    ...change,
  };
}
const attempts = (change: Partial<AwaitChangeInput> = {}) =>
  createAttempts(setup.activities.awaitProviderChange, input(change));
const poll = (change: Partial<AwaitChangeInput> = {}) => attempt(setup.activities.awaitProviderChange, input(change));
const providerSays = (status: JobStatus | null, rawStatus = String(status)) => {
  setup.vendor.change('job-1', { status, rawStatus });
};
const event = (id: string, data: RemoteEvent['data'] = {}, type: RemoteEvent['type'] = 'message'): RemoteEvent => ({
  id,
  createdAt: '2026-01-01T00:00:00.000Z',
  level: 'info',
  type,
  message: `event ${id}`,
  data,
});

describe('a poll without a change', () => {
  it('is a benign failure with the cadence’s jittered delay, and says where the job stands', async () => {
    setup.vendor.change('job-1', { progress: { step: 12, totalSteps: 50 } });
    const end = await poll();
    expect(end.failure).toMatchObject({
      type: 'provider_unchanged',
      category: 'BENIGN',
      nonRetryable: false,
      message: 'openai job-1: running, step 12/50',
    });
    expect(delayOf(end)).toBe(2_000);
    const row = await setup.row();
    expect(row).toMatchObject({ rawStatus: 'running', progress: { step: 12, totalSteps: 50 }, lastError: null });
    expect(row.nextPollAt?.getTime()).toBe(setup.clock.nowMs + 2_000);
  });

  it.each([
    [29_000, 2_000],
    [31_000, 5_000],
    [6 * MINUTE_MS, 15_000],
    [31 * MINUTE_MS, 60_000],
    [121 * MINUTE_MS, 300_000],
    [7 * 24 * 60 * MINUTE_MS, 300_000],
  ])('%d ms after submit waits %d ms', async (sinceMs, delayMs) => {
    expect(delayOf(await poll({ submittedAt: new Date(setup.clock.nowMs - sinceMs).toISOString() }))).toBe(delayMs);
  });

  it('asks twice, and each fifth time for checkpoints instead of events', async () => {
    const waiting = attempts();
    for (let count = 0; count < 10; count += 1) await waiting.next();
    const second = setup.vendor.calls.filter((call) => !call.startsWith('getJob')).map((call) => call.split(' ')[0]);
    const five = ['listEvents', 'listEvents', 'listEvents', 'listEvents', 'listCheckpoints'];
    expect(second).toEqual([...five, ...five]);
    expect(setup.vendor.calls).toHaveLength(20);
    expect(waiting.lastHeartbeat()).toEqual({ polls: 10, failures: 0, missingSince: null });
  });
});

describe('a poll with a change', () => {
  it('answers a status not seen yet, once it is in the row', async () => {
    providerSays('running');
    expect((await poll({ seen: ['validating_files', 'queued'] })).result).toEqual({ status: 'running', error: null });
    providerSays('paused');
    expect((await poll()).result).toEqual({ status: 'paused', error: null });
    expect(await setup.row()).toMatchObject({ status: 'paused', stateSequence: 2 });
  });

  it.each(['succeeded', 'failed', 'cancelled'] as const)(
    'answers %s at once, and leaves the row open for its results',
    async (status) => {
      const error = status === 'failed' ? { code: 'exploded', message: 'no', param: null } : null;
      providerSays(status);
      setup.vendor.change('job-1', { error });
      expect((await poll()).result).toEqual({ status, error });
      expect(await setup.row()).toMatchObject({ status: 'running', nextPollAt: null, rawStatus: status });
    },
  );

  it.each([
    ['a state we do not know', null, 'defrosting'],
    ['a step backwards', 'queued', 'queued'],
    ['a job that is said to be checked again', 'validating_files', 'validating_files'],
  ] as const)('is not %s: the status stays, the raw one is shown', async (_, status, rawStatus) => {
    providerSays(status, rawStatus);
    expect((await poll()).failure).toMatchObject({ type: 'provider_unchanged' });
    expect(await setup.row()).toMatchObject({ status: 'running', rawStatus });
  });
});

describe('a provider that cannot be observed', () => {
  it('is waited for, however long: unreachable since the first failure, cleared by the first answer', async () => {
    const waiting = attempts();
    setup.vendor.fail('getJob', refusal('provider_unavailable'), 3);
    const delays: (number | undefined)[] = [];
    let since: Date | null = null;
    for (let count = 0; count < 3; count += 1) {
      const end = await waiting.next();
      expect(end.failure).toMatchObject({ type: 'provider_unavailable', nonRetryable: false });
      delays.push(delayOf(end));
      const row = await setup.row();
      since ??= row.providerUnreachableSince;
      expect(row.providerUnreachableSince).toEqual(since);
      expect(row).toMatchObject({ status: 'running', lastError: { code: 'provider_unavailable' } });
    }
    expect(since).toBeInstanceOf(Date);
    expect(delays).toEqual([2_000, 4_000, 8_000]);
    expect((await waiting.next()).failure).toMatchObject({ type: 'provider_unchanged' });
    expect(await setup.row()).toMatchObject({ providerUnreachableSince: null, lastError: null });
    // Counted from the start again.
    setup.vendor.fail('getJob', refusal('provider_unavailable'));
    expect(delayOf(await waiting.next())).toBe(2_000);
  });

  it('backs off to five minutes and no further', async () => {
    setup.vendor.fail('getJob', refusal('provider_unavailable'), 100);
    const waiting = attempts();
    for (let count = 0; count < 20; count += 1) await waiting.next();
    expect(delayOf(await waiting.next())).toBe(300_000);
  });

  it.each([
    [10, 1_000],
    [90_000, 90_000],
    [86_400_000, 3_600_000],
  ])('and asks for %d ms is asked again after %d ms', async (retryAfterMs, delayMs) => {
    setup.vendor.fail('getJob', refusal('provider_rate_limited', 429, { retryAfterMs }));
    expect(delayOf(await poll())).toBe(delayMs);
  });

  it.each([
    'provider_auth_error',
    'provider_bad_request',
    'provider_invalid_response',
    'credentials_unreadable',
  ] as const)('because of %s never fails the job', async (code) => {
    setup.vendor.fail('getJob', refusal(code, 401));
    expect((await poll()).failure).toMatchObject({ type: code, nonRetryable: false });
    expect(await setup.row()).toMatchObject({ status: 'running', lastError: { code } });
  });

  it('but refuses is reachable', async () => {
    const waiting = attempts();
    setup.vendor.fail('getJob', refusal('provider_unavailable'));
    await waiting.next();
    setup.vendor.fail('getJob', refusal('provider_auth_error', 401));
    await waiting.next();
    expect(await setup.row()).toMatchObject({
      providerUnreachableSince: null,
      lastError: { code: 'provider_auth_error' },
    });
  });
});

describe('a job that the provider does not know', () => {
  it('is looked for ten minutes, then failed as provider_job_missing', async () => {
    setup.vendor.jobs.length = 0;
    const waiting = attempts();
    for (const sinceMs of [0, 5 * MINUTE_MS, 9 * MINUTE_MS]) {
      setup.clock.nowMs += sinceMs - (setup.clock.nowMs - Date.UTC(2026, 0, 1));
      expect((await waiting.next()).failure).toMatchObject({ type: 'provider_not_found', nonRetryable: false });
    }
    setup.clock.nowMs = Date.UTC(2026, 0, 1) + 10 * MINUTE_MS;
    expect((await waiting.next()).failure).toMatchObject({ type: 'provider_job_missing', nonRetryable: true });
  });

  it('is looked for anew after it was seen again', async () => {
    const waiting = attempts();
    setup.vendor.fail('getJob', refusal('provider_not_found', 404));
    await waiting.next();
    setup.clock.nowMs += 9 * MINUTE_MS;
    await waiting.next();
    setup.vendor.fail('getJob', refusal('provider_not_found', 404));
    setup.clock.nowMs += 9 * MINUTE_MS;
    expect((await waiting.next()).failure).toMatchObject({ type: 'provider_not_found', nonRetryable: false });
  });
});

describe('trouble of our own', () => {
  it('backs off by its own count, not by the number of benign polls before it, and keeps what was counted', async () => {
    const waiting = attempts();
    for (let count = 0; count < 12; count += 1) await waiting.next();
    const away = new GatewayError('database_unavailable', 'away');
    setup.vendor.fail('listEvents', away, 2);
    const ends = [await waiting.next(), await waiting.next()];
    expect(ends.map(delayOf)).toEqual([2_000, 4_000]);
    expect(ends[0]?.failure).toMatchObject({ type: 'database_unavailable', nonRetryable: false });
    expect(waiting.lastHeartbeat()).toMatchObject({ polls: 12, failures: 2 });
  });

  it('reads details of another release as a fresh start', async () => {
    const details = { polls: 'many', fromTheFuture: true };
    const waiting = createAttempts(setup.activities.awaitProviderChange, input(), details);
    await waiting.next();
    expect(waiting.lastHeartbeat()).toEqual({ polls: 1, failures: 0, missingSince: null });
  });
});

describe('what stops an attempt', () => {
  it('is a cancellation where the run was cancelled', async () => {
    const { failure } = await attempts().next((environment) => environment.cancel('CANCELLED'));
    expect(failure?.name).toBe('CancelledFailure');
  });
});

describe('mirrored events', () => {
  const mirrored = async () =>
    (await setup.events()).filter(({ sourceId }) => sourceId.startsWith('provider:')).map(({ message }) => message);

  it('are written once each, in order and without gaps, from the last known on', async () => {
    setup.vendor.events.push(event('1'), event('2'));
    const waiting = attempts();
    await waiting.next();
    await waiting.next();
    setup.vendor.events.push(event('3'), event('4'));
    await waiting.next();
    expect(await mirrored()).toEqual(['event 1', 'event 2', 'event 3', 'event 4']);
    expect((await setup.events()).map(({ sequence }) => sequence)).toEqual([1, 2, 3, 4, 5]);
    expect(setup.vendor.calls.filter((call) => call.startsWith('listEvents'))).toEqual([
      'listEvents all',
      'listEvents 2',
      'listEvents 2',
    ]);
  });

  it('are written once by two polls at the same time', async () => {
    for (let id = 1; id <= 60; id += 1) setup.vendor.events.push(event(String(id)));
    await Promise.all([poll(), poll(), poll()]);
    expect(await mirrored()).toEqual(setup.vendor.events.map(({ message }) => message));
    expect((await setup.events()).map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: 61 }, (_, index) => index + 1),
    );
  });

  it('tell the progress where the job itself does not', async () => {
    setup.vendor.events.push(
      event('1', { step: 1, total_steps: 8 }, 'metrics'),
      event('2', { step: 2, total_steps: 8 }, 'metrics'),
    );
    expect((await poll()).failure).toMatchObject({ message: 'openai job-1: running, step 2/8' });
    expect((await setup.row()).progress).toEqual({ step: 2, totalSteps: 8, percent: 25 });
  });

  it('hold no character that the database refuses', async () => {
    setup.vendor.events.push({
      ...event('1', { text: 'a\0b', half: '\ud83d' }),
      message: 'NUL \0 and half a pair \ud83d',
    });
    await poll();
    expect(await mirrored()).toEqual(['NUL \ufffd and half a pair \ufffd']);
    expect((await setup.events()).at(-1)?.data).toEqual({ text: 'a\ufffdb', half: '\ufffd' });
  });

  it('that cannot be listed lose nothing and hide no status', async () => {
    setup.vendor.fail('listEvents', refusal('provider_unavailable', 500));
    setup.vendor.events.push(event('1'));
    const waiting = attempts({ seen: ['queued'] });
    expect((await waiting.next()).result).toEqual({ status: 'running', error: null });
    expect(await setup.row()).toMatchObject({
      lastError: { code: 'provider_unavailable' },
      providerUnreachableSince: null,
    });
    await poll();
    expect(await mirrored()).toEqual(['event 1']);
  });

  it('of checkpoints are written once each', async () => {
    const checkpoint = {
      id: 'c1',
      createdAt: '2026-01-01T00:00:00.000Z',
      fineTunedModelCheckpoint: 'ft:1',
      stepNumber: 10,
      metrics: { step: 10, train_loss: 0.5 },
    };
    setup.vendor.checkpoints.push(checkpoint);
    const waiting = attempts();
    for (let count = 0; count < 10; count += 1) await waiting.next();
    const page = await setup.dependencies.checkpoints.list(setup.jobId, { after: null, limit: 10 });
    expect(page?.rows).toMatchObject([{ sourceId: 'c1', stepNumber: 10, metrics: { train_loss: 0.5 } }]);
  });
});
