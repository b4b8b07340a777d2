import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { acceptedState, type JobState } from '../src/domain/job.js';
import type { JobStatus } from '../src/domain/job-state.js';
import { attempt, createActivitySetup, type ActivitySetup } from '../test/support/activity-setup.js';
import { createTestDatabase, type TestDatabase } from '../test/support/database.js';
import { createDelays } from './cadence.js';

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

const record = (state: Partial<JobState>, sequence = 5) =>
  attempt(setup.activities.recordJob, {
    jobId: setup.jobId,
    version: setup.version(sequence),
    state: { ...acceptedState(), ...state },
  });

describe('recording', () => {
  it('writes the whole state at once', async () => {
    const state: Partial<JobState> = {
      status: 'succeeded',
      phase: 'finished',
      fineTunedModel: 'ft:model',
      trainedTokens: 7,
      resultFiles: ['file-1'],
      finishedAt: '2026-01-01T01:00:00.000Z',
    };
    await setup.dependencies.jobs.recordObservation(setup.jobId, { nextPollAt: '2026-01-01T00:00:00.000Z' });
    expect((await record(state)).result).toEqual({ status: 'succeeded', phase: 'finished' });
    expect(await setup.row()).toMatchObject({
      ...state,
      finishedAt: new Date('2026-01-01T01:00:00.000Z'),
      nextPollAt: null,
    });
  });

  it('writes the event before the terminal status: who sees it failed can read why', async () => {
    const error = { code: 'exploded', message: 'half a pair \ud83d and NUL \0', param: null };
    const append = setup.dependencies.events.append.bind(setup.dependencies.events);
    const seen: string[] = [];
    const events = {
      ...setup.dependencies.events,
      append: async (...parameters: Parameters<typeof append>) => {
        seen.push((await setup.row()).status);
        return append(...parameters);
      },
    };
    const { createActivities } = await import('./index.js');
    const activities = createActivities({ ...setup.dependencies, events });
    await attempt(activities.recordJob, {
      jobId: setup.jobId,
      version: setup.version(),
      state: { ...acceptedState(), status: 'failed', phase: 'finished', error },
    });
    expect(seen).toEqual(['validating_files']);
    expect(await setup.row()).toMatchObject({
      status: 'failed',
      error: { code: 'exploded', message: 'half a pair \ufffd and NUL \ufffd' },
    });
    expect((await setup.events()).at(-1)).toMatchObject({ sourceId: 'gateway:failed', level: 'error' });
  });

  it('of a cancel notes when it was asked for, once, with one event', async () => {
    await record({ phase: 'cancelling' });
    const first = (await setup.row()).cancelRequestedAt;
    expect(first).toBeInstanceOf(Date);
    await record({ phase: 'cancelling' });
    expect((await setup.row()).cancelRequestedAt).toEqual(first);
    await record({ status: 'cancelled', phase: 'finished' }, 6);
    expect((await setup.events()).map(({ sourceId }) => sourceId)).toEqual([
      'gateway:created',
      'gateway:cancelling',
      'gateway:cancelled',
    ]);
  });
});

describe('which write of the state wins', () => {
  const write = (sequence: number, status: JobStatus, runId = 'run-a') =>
    setup.dependencies.jobs.recordState(setup.jobId, { runId, sequence }, { status });

  it('within a run a higher sequence, or the same one again', async () => {
    await write(3, 'queued');
    expect(await write(2, 'running')).toMatchObject({ status: 'queued' });
    expect(await write(3, 'running')).toMatchObject({ status: 'running' });
    expect(await write(4, 'paused')).toMatchObject({ status: 'paused' });
    expect(await setup.row()).toMatchObject({ status: 'paused', stateSequence: 4 });
  });

  it('a new run over the stored one, and one that was replaced never again', async () => {
    await write(9, 'queued', 'run-a');
    expect(await write(1, 'running', 'run-b')).toMatchObject({ status: 'running' });
    expect(await write(10, 'paused', 'run-a')).toMatchObject({ status: 'running' });
    expect(await write(1, 'paused', 'run-c')).toMatchObject({ status: 'paused' });
    for (const replaced of ['run-a', 'run-b']) {
      expect(await write(99, 'running', replaced)).toMatchObject({ status: 'paused' });
    }
    expect((await setup.row()).replacedRunIds).toEqual(['run-a', 'run-b']);
  });

  it.each(['succeeded', 'failed', 'cancelled'] as const)('nothing over %s', async (status) => {
    await write(1, status);
    for (const next of ['running', 'succeeded', 'failed', 'cancelled'] as const) {
      expect(await write(2, next)).toMatchObject({ status });
      expect(await write(1, next, 'run-b')).toMatchObject({ status });
    }
    expect(await setup.row()).toMatchObject({ status, stateRunId: 'run-a', stateSequence: 1 });
  });

  it('a status that goes back is passed over; what else the write brings is kept', async () => {
    await write(1, 'running');
    const version = setup.version(2);
    expect(
      await setup.dependencies.jobs.recordState(setup.jobId, version, { status: 'queued', phase: 'waiting' }),
    ).toEqual({ status: 'running', phase: 'waiting' });
  });

  it('of two at the same time the higher one, in either order', async () => {
    for (let round = 1; round <= 10; round += 1) {
      const [low, high] = [round * 2, round * 2 + 1];
      const pair = [write(low, 'running'), write(high, 'paused')];
      await Promise.all(round % 2 === 0 ? pair : pair.reverse());
      expect(await setup.row()).toMatchObject({ status: 'paused', stateSequence: high });
    }
  });

  it('never touches what others write', async () => {
    await setup.submitBegunAgo(1_000);
    await setup.dependencies.jobs.markCancelRequested(setup.jobId);
    await setup.dependencies.jobs.recordObservation(setup.jobId, { rawStatus: 'warming_up' });
    const before = await setup.row();
    await record({ status: 'succeeded', phase: 'finished' });
    const { cancelRequestedAt, submitAttemptedAt, rawStatus } = await setup.row();
    expect({ cancelRequestedAt, submitAttemptedAt, rawStatus }).toEqual({
      cancelRequestedAt: before.cancelRequestedAt,
      submitAttemptedAt: before.submitAttemptedAt,
      rawStatus: 'warming_up',
    });
  });
});

describe('delays', () => {
  it('are jittered by 15 % at the most, whole, and never 0', () => {
    for (const [random, expected] of [
      [0, 1_700],
      [0.5, 2_000],
      [0.999_999, 2_300],
    ] as const) {
      expect(createDelays(1, () => random).poll(0)).toBe(expected);
    }
    expect(createDelays(0.000_001, () => 0).poll(0)).toBe(1);
    expect(createDelays(1 / 3, () => 0.123).backoff(3)).toSatisfy(Number.isInteger);
  });

  it('are scaled with the cadence’s steps, but not what the provider asks for', () => {
    const delays = createDelays(0.1, () => 0.5);
    expect(delays.poll(2_999)).toBe(200);
    expect(delays.poll(3_001)).toBe(500);
    expect(delays.retryAfter(7_000)).toBe(7_000);
  });

  it('go by the first step where the clocks differ, and by the last where no time is known', () => {
    const delays = createDelays(1, () => 0.5);
    expect(delays.poll(-60_000)).toBe(2_000);
    expect(delays.poll(Number.NaN)).toBe(300_000);
  });
});
