import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CollectInput } from '../src/domain/activities.js';
import { fileIdForResult } from '../src/store/new-id.js';
import {
  createActivitySetup,
  createAttempts,
  delayOf,
  WORKSPACE,
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
  setup.vendor.addJob(setup.jobId, {
    status: 'succeeded',
    fineTunedModel: 'ft:model',
    trainedTokens: 99,
    resultFiles: ['result-1'],
    finishedAt: '2026-01-01T00:30:00.000Z',
  });
  setup.vendor.results.set('result-1', 'step,train_loss\n1,0.5\n');
});

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;

const collecting = (status: CollectInput['status'] = 'succeeded') =>
  createAttempts(setup.activities.collectResults, {
    jobId: setup.jobId,
    version: setup.version(5),
    providerJobId: 'job-1',
    status,
  });
const resultId = () => fileIdForResult(setup.jobId, 'result-1');

describe('collecting', () => {
  it('waits until the provider has said everything, then takes all of it', async () => {
    const attempts = collecting();
    const first = await attempts.next();
    expect(first.failure).toMatchObject({ type: 'results_settling', category: 'BENIGN' });
    expect(delayOf(first)).toBe(10 * SECOND_MS);
    expect((await setup.row()).phase).toBe('collecting');

    setup.vendor.events.push({
      id: 'last',
      createdAt: '2026-01-01T00:30:08.000Z',
      level: 'info',
      type: 'message',
      message: 'The job has successfully completed',
      data: {},
    });
    setup.clock.nowMs += 10 * SECOND_MS;
    expect((await attempts.next()).result).toEqual({
      fineTunedModel: 'ft:model',
      trainedTokens: 99,
      resultFiles: [resultId()],
      finishedAt: '2026-01-01T00:30:00.000Z',
      error: null,
    });
    expect((await setup.events()).at(-1)?.message).toBe('The job has successfully completed');
    expect(setup.contents.get(resultId())).toBe('step,train_loss\n1,0.5\n');
    expect(await setup.dependencies.files.get(WORKSPACE, resultId())).toMatchObject({
      filename: 'step_metrics.csv',
      purpose: 'fine-tune-results',
    });
  });

  it('repeated, keeps the one result file', async () => {
    const attempts = collecting();
    await attempts.next();
    setup.clock.nowMs += 10 * SECOND_MS;
    const once = await attempts.next();
    const calls = setup.vendor.called('openResult');
    expect((await attempts.next()).result).toEqual(once.result);
    expect(setup.vendor.called('openResult')).toBe(calls);
  });

  it('stores a result anew whose bytes a sweep took away while its row was being made', async () => {
    // What was stored is gone when the row is there.
    vi.spyOn(setup.contents, 'set').mockImplementationOnce(() => setup.contents);
    const attempts = collecting();
    await attempts.next();
    setup.clock.nowMs += 10 * SECOND_MS;
    expect((await attempts.next()).failure).toMatchObject({ type: 'storage_unavailable', nonRetryable: false });
    expect((await attempts.next()).result).toMatchObject({ resultFiles: [resultId()] });
    expect(setup.contents.get(resultId())).toBe('step,train_loss\n1,0.5\n');
  });

  it('counts from the first attempt, whichever worker makes the next', async () => {
    const attempts = collecting();
    await attempts.next();
    setup.clock.nowMs += 4 * SECOND_MS;
    expect(delayOf(await attempts.next())).toBe(6 * SECOND_MS);
  });

  it('waits for a model that is not there yet, ten minutes at the most, and then says so', async () => {
    setup.vendor.change('job-1', { fineTunedModel: null });
    const attempts = collecting();
    await attempts.next();
    setup.clock.nowMs += 5 * MINUTE_MS;
    const waiting = await attempts.next();
    expect(waiting.failure).toMatchObject({ type: 'provider_result_missing', category: 'BENIGN' });
    expect(delayOf(waiting)).toBe(5 * SECOND_MS);
    setup.clock.nowMs += 5 * MINUTE_MS;
    expect((await attempts.next()).result).toMatchObject({ fineTunedModel: null, resultFiles: [resultId()] });
    expect(await setup.row()).toMatchObject({ lastError: { code: 'provider_result_missing' } });
    expect((await setup.events()).map(({ sourceId }) => sourceId)).toContain('gateway:result_missing');
  });

  it('does not count time in which the provider did not answer', async () => {
    setup.vendor.change('job-1', { fineTunedModel: null });
    setup.vendor.fail('getJob', refusal('provider_unavailable'), 3);
    const attempts = collecting();
    for (let count = 0; count < 3; count += 1) {
      expect((await attempts.next()).failure).toMatchObject({ type: 'provider_unavailable', nonRetryable: false });
      setup.clock.nowMs += 60 * MINUTE_MS;
    }
    expect((await attempts.next()).failure).toMatchObject({ type: 'provider_result_missing' });
  });

  it('does not keep a job open for lists that stay unreadable while the job can be read', async () => {
    const attempts = collecting();
    await attempts.next();
    setup.vendor.fail('listCheckpoints', refusal('provider_auth_error', 403));
    setup.clock.nowMs += MINUTE_MS;
    expect((await attempts.next()).failure).toMatchObject({ type: 'provider_auth_error', nonRetryable: false });
    setup.vendor.fail('listCheckpoints', refusal('provider_auth_error', 403));
    setup.clock.nowMs += 10 * MINUTE_MS;
    expect((await attempts.next()).result).toMatchObject({ fineTunedModel: 'ft:model', resultFiles: [resultId()] });
    expect((await setup.row()).lastError).toMatchObject({ code: 'provider_auth_error' });
  });

  it('takes a file that is named but not there as missing after ten minutes, not before', async () => {
    setup.vendor.results.clear();
    const attempts = collecting();
    await attempts.next();
    setup.clock.nowMs += MINUTE_MS;
    expect((await attempts.next()).failure).toMatchObject({ type: 'provider_result_missing', nonRetryable: false });
    setup.clock.nowMs += 10 * MINUTE_MS;
    expect((await attempts.next()).result).toMatchObject({ fineTunedModel: 'ft:model', resultFiles: [] });
    expect((await setup.row()).lastError).toMatchObject({ code: 'provider_result_missing' });
  });

  it('leaves out a result over the limit, with an event, and ends all the same', async () => {
    setup.vendor.results.set('result-1', 'x'.repeat(2_000));
    const attempts = collecting();
    await attempts.next();
    setup.clock.nowMs += 10 * SECOND_MS;
    expect((await attempts.next()).result).toMatchObject({ fineTunedModel: 'ft:model', resultFiles: [] });
    expect((await setup.events()).map(({ sourceId }) => sourceId)).toContain('gateway:result_too_large_result-1');
  });

  it.each(['getJob', 'listEvents', 'listCheckpoints', 'openResult'] as const)(
    'never fails the job for a refused %s',
    async (method) => {
      const attempts = collecting();
      await attempts.next();
      setup.clock.nowMs += 10 * SECOND_MS;
      setup.vendor.fail(method, refusal('provider_auth_error', 401));
      expect((await attempts.next()).failure).toMatchObject({ type: 'provider_auth_error', nonRetryable: false });
      expect((await attempts.next()).result).toMatchObject({ fineTunedModel: 'ft:model' });
    },
  );

  it('of a job that is gone gives up after ten minutes with what is known', async () => {
    setup.vendor.jobs.length = 0;
    const attempts = collecting('cancelled');
    expect((await attempts.next()).failure).toMatchObject({ type: 'provider_not_found', category: 'BENIGN' });
    setup.clock.nowMs += 10 * MINUTE_MS;
    expect((await attempts.next()).result).toEqual({
      fineTunedModel: null,
      trainedTokens: null,
      resultFiles: [],
      finishedAt: new Date(setup.clock.nowMs).toISOString(),
      error: null,
    });
  });

  it('of a job that failed needs no model, settles sooner, and brings its error', async () => {
    const error = { code: 'exploded', message: 'no', param: null };
    setup.vendor.change('job-1', { status: 'failed', fineTunedModel: null, resultFiles: [], error, finishedAt: null });
    const attempts = collecting('failed');
    const first = await attempts.next();
    expect(delayOf(first)).toBe(2 * SECOND_MS);
    setup.clock.nowMs += 2 * SECOND_MS;
    expect((await attempts.next()).result).toMatchObject({
      error,
      resultFiles: [],
      finishedAt: new Date(setup.clock.nowMs).toISOString(),
    });
  });
});
