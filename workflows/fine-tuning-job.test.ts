import { ApplicationFailure } from '@temporalio/common';
import { beforeAll, describe, expect, it } from 'vitest';
import type { JobView, StateVersion } from '../src/domain/job.js';
import {
  completes,
  fails,
  oneFileRequest,
  PROVIDER_JOB,
  reports,
  RESULTS,
  retries,
  startJob,
} from '../test/support/job-workflow.js';
import { bundleWorkflows, createWorkflowSandbox, type WorkflowSandbox } from '../test/support/workflow-sandbox.js';

let sandbox: WorkflowSandbox;
beforeAll(async () => {
  sandbox = await createWorkflowSandbox(await bundleWorkflows());
});

describe('a job that goes well', () => {
  it('runs its stages in order, with both files, and closes Completed with the whole view', async () => {
    const job = await startJob(sandbox);
    await job.settle();

    expect(job.commands.filter((command) => command.startsWith('schedule '))).toEqual([
      'schedule preflightDataset',
      'schedule preflightDataset',
      'schedule uploadDataset',
      'schedule uploadDataset',
      'schedule submitJob',
      'schedule awaitProviderChange',
      'schedule awaitProviderChange',
      'schedule awaitProviderChange',
      'schedule collectResults',
      'schedule recordJob',
    ]);
    expect(job.inputs('submitJob')).toMatchObject([
      { jobId: 'ftjob-test', files: { training: 'remote-training', validation: 'remote-validation' } },
    ]);
    expect(job.closed()).toMatchObject({
      as: 'completed',
      result: { status: 'succeeded', phase: 'finished', providerJobId: PROVIDER_JOB, ...RESULTS },
    });
    expect(await job.view()).toEqual(resultOf(job.closed()));
  });

  it('gives every activity a version of its own, growing in the order they were scheduled', async () => {
    const job = await startJob(sandbox);
    await job.settle();
    const versions = new Map<string, number>();
    for (const { name, input } of job.attempts) {
      const { runId, sequence } = versionOf(input);
      expect(runId).toBe((await job.view()).version.runId);
      versions.set(`${name} ${sequence}`, sequence);
    }
    // Attempts of one activity share theirs.
    expect([...versions.values()]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it('puts each stage on its queue', async () => {
    const job = await startJob(sandbox);
    await job.settle();
    expect(Object.fromEntries(job.attempts.map(({ name, taskQueue }) => [name, taskQueue]))).toEqual({
      preflightDataset: 'test-files',
      uploadDataset: 'test-files',
      submitJob: 'test-provider-openai',
      awaitProviderChange: 'test-provider-openai',
      collectResults: 'test-files',
      recordJob: 'test-workflows',
    });
  });

  it('takes one file where there is no validation file', async () => {
    const job = await startJob(sandbox, {}, { request: oneFileRequest });
    await job.settle();
    expect(job.inputs('preflightDataset')).toMatchObject([{ role: 'training', fileId: 'file-train' }]);
    expect(job.inputs('submitJob')).toMatchObject([{ files: { training: 'remote-training' } }]);
    expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'succeeded' } });
  });

  it('shows each status to the query once the activity has written it, and as search attribute', async () => {
    const shown: string[] = [];
    const job = await startJob(sandbox, {
      awaitProviderChange: ({ attempt, input }) => {
        const { seen } = seenOf(input);
        if (attempt < 2) return retries();
        return reports(seen.includes('running') ? 'succeeded' : seen.includes('queued') ? 'running' : 'queued');
      },
    });
    shown.push((await job.view()).status);
    for (let step = 0; job.closed() === null; step += 1) {
      await job.settle(1_000);
      const { status } = await job.view();
      if (shown.at(-1) !== status) shown.push(status);
    }
    expect(shown).toEqual(['validating_files', 'queued', 'running', 'succeeded']);
    expect(job.commands.filter((command) => command.startsWith('Tunesmith'))).toEqual([
      'TunesmithStatus = queued',
      'TunesmithStatus = running',
      'TunesmithStatus = succeeded',
    ]);
  });

  it('writes no search attribute where the cluster does not know them', async () => {
    const job = await startJob(sandbox, {}, { searchAttributes: false });
    await job.settle();
    expect(job.commands.filter((command) => command.startsWith('Tunesmith'))).toEqual([]);
  });

  it('waits through thousands of polls with one activity per status', async () => {
    const job = await startJob(sandbox, {
      awaitProviderChange: ({ attempt, input }) =>
        attempt < 5_000 ? retries(60_000) : reports(seenOf(input).seen.includes('running') ? 'succeeded' : 'running'),
    });
    await job.settle();
    expect(job.commands.filter((command) => command === 'schedule awaitProviderChange')).toHaveLength(2);
    expect(job.attempts.filter(({ name }) => name === 'awaitProviderChange')).toHaveLength(10_000);
    expect(job.closed()).toMatchObject({ as: 'completed' });
  });

  it('ignores fields of an input that a later gateway may send', async () => {
    // @NOTE The field is unknown to this build's type, which is the point.
    const job = await startJob(sandbox, {}, { fromTheFuture: { nested: [1, 2] }, startAt: 'validate' } as object);
    await job.settle();
    expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'succeeded' } });
  });

  it('is the same run however often it is queried', async () => {
    const plain = await startJob(sandbox);
    await plain.settle();
    const queried = await startJob(sandbox);
    for (let step = 0; queried.closed() === null && step < 100; step += 1) {
      expect(await queried.view()).toEqual(await queried.view());
      await queried.settle(500);
    }
    expect(queried.commands).toEqual(plain.commands);
    expect(queried.closed()).toMatchObject({ as: 'completed' });
  });
});

describe('a stage that fails for good', () => {
  it.each([
    ['preflightDataset', 'invalid_training_file'],
    ['uploadDataset', 'provider_auth_error'],
    ['submitJob', 'model_not_available'],
    ['awaitProviderChange', 'provider_job_missing'],
  ] as const)('%s: the row is recorded, then the run closes Failed with the code as its type', async (stage, code) => {
    const job = await startJob(sandbox, { [stage]: () => fails(code, [{ param: 'training_file' }]) });
    await job.settle();
    const error = { code, message: `it says ${code}`, param: 'training_file' };
    expect(job.inputs('recordJob')).toMatchObject([{ state: { status: 'failed', phase: 'finished', error } }]);
    const closed = job.closed();
    expect(closed).toMatchObject({ as: 'failed', error: { type: code, nonRetryable: true } });
    expect(viewOfFailure(closed)).toMatchObject({ status: 'failed', error });
    expect(job.names().at(-1)).toBe('deleteRemote');
  });

  it("names the provider's own code where ours only says that it refused", async () => {
    const job = await startJob(sandbox, {
      submitJob: () => fails('provider_bad_request', [{ param: null, rawCode: 'unsupported_model' }]),
    });
    await job.settle();
    expect(job.closed()).toMatchObject({ as: 'failed', error: { type: 'unsupported_model' } });
  });

  it('waits for the other file when one is refused, and tells the refusal, not its own cancellation', async () => {
    const job = await startJob(sandbox, {
      preflightDataset: ({ input }) =>
        roleOf(input) === 'training'
          ? { outcome: 'stays' }
          : fails('invalid_training_file', [{ param: 'validation_file' }]),
    });
    await job.settle();
    expect(job.closed()).toMatchObject({ as: 'failed', error: { type: 'invalid_training_file' } });
    expect(job.commands).toContain('cancel preflightDataset');
    expect(job.names()).not.toContain('uploadDataset');
  });

  it('does not delete under an upload that still runs', async () => {
    const job = await startJob(sandbox, {
      uploadDataset: ({ input }) =>
        roleOf(input) === 'training' ? { outcome: 'stays' } : fails('provider_auth_error'),
    });
    await job.settle();
    expect(job.names()).not.toContain('deleteRemote');
    job.resolve('uploadDataset', { outcome: 'cancels' });
    await job.settle();
    expect(job.names().slice(-2)).toEqual(['recordJob', 'deleteRemote']);
    expect(job.closed()).toMatchObject({ as: 'failed', error: { type: 'provider_auth_error' } });
  });

  it('is a failure by our code when an activity ended without saying why', async () => {
    const job = await startJob(sandbox, { submitJob: () => ({ outcome: 'fails', type: 'internal_error' }) });
    await job.settle();
    expect(job.closed()).toMatchObject({ as: 'failed', error: { type: 'internal_error' } });
  });
});

describe('a job that the provider ends as failed', () => {
  it('is collected, recorded and closed Failed with the provider’s code', async () => {
    const error = { code: 'exploded', message: 'loss is not a number', param: null };
    const job = await startJob(sandbox, {
      awaitProviderChange: () => reports('failed', error),
      collectResults: () => completes({ ...RESULTS, fineTunedModel: null, resultFiles: [], error: null }),
    });
    await job.settle();
    expect(job.names().slice(-3)).toEqual(['collectResults', 'recordJob', 'deleteRemote']);
    expect(job.inputs('recordJob')).toMatchObject([
      { state: { status: 'failed', error, finishedAt: RESULTS.finishedAt, trainedTokens: 4_200 } },
    ]);
    expect(job.closed()).toMatchObject({ as: 'failed', error: { type: 'exploded' } });
  });

  it('takes the error that was read last, and one of ours where the provider gives none', async () => {
    const later = { code: 'later', message: 'read when collecting', param: null };
    const told = await startJob(sandbox, {
      awaitProviderChange: () => reports('failed'),
      collectResults: () => completes({ ...RESULTS, error: later }),
    });
    await told.settle();
    expect(told.inputs('recordJob')).toMatchObject([{ state: { error: later } }]);

    const silent = await startJob(sandbox, {
      awaitProviderChange: () => reports('failed'),
      collectResults: () => completes({ ...RESULTS, error: null }),
    });
    await silent.settle();
    expect(silent.inputs('recordJob')).toMatchObject([{ state: { error: { code: 'provider_job_failed' } } }]);
    expect(silent.closed()).toMatchObject({ as: 'failed', error: { type: 'provider_job_failed' } });
  });
});

describe('cleaning up at the provider', () => {
  it.each([
    ['on_failure', 'succeeded', false],
    ['on_failure', 'failed', true],
    ['on_failure', 'cancelled', true],
    ['always', 'succeeded', true],
    ['always', 'failed', true],
    ['never', 'succeeded', false],
    ['never', 'failed', false],
    [undefined, 'succeeded', false],
    [undefined, 'failed', true],
  ] as const)('by the policy %s after %s', async (remoteCleanup, status, cleaned) => {
    const job = await startJob(
      sandbox,
      { awaitProviderChange: () => reports(status) },
      remoteCleanup === undefined ? {} : { remoteCleanup },
    );
    await job.settle();
    expect(job.names().includes('deleteRemote')).toBe(cleaned);
    if (!cleaned) return;
    expect(job.names().slice(-2)).toEqual(['recordJob', 'deleteRemote']);
    expect(job.inputs('deleteRemote')).toMatchObject([{ remove: true }]);
  });

  it.each([
    ['on_failure', true],
    ['always', true],
    ['never', false],
  ] as const)(
    'by the policy %s gives up what an upload that failed may have left half-done',
    async (remoteCleanup, remove) => {
      const job = await startJob(sandbox, { uploadDataset: () => fails('provider_bad_request') }, { remoteCleanup });
      await job.settle();
      expect(job.inputs('deleteRemote')).toMatchObject([{ remove }]);
      expect(job.names().slice(-2)).toEqual(['recordJob', 'deleteRemote']);
    },
  );

  it('does not change the outcome when it fails', async () => {
    const job = await startJob(
      sandbox,
      { deleteRemote: () => fails('credentials_unreadable') },
      { remoteCleanup: 'always' },
    );
    await job.settle();
    expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'succeeded' } });
  });
});

describe('a run that adopts a job', () => {
  it('goes on waiting where the provider has the job', async () => {
    const job = await startJob(
      sandbox,
      {},
      { startAt: 'wait', providerJobId: 'theirs', status: 'running', submittedAt: '2025-12-31T00:00:00.000Z' },
    );
    expect(await job.view()).toMatchObject({ status: 'running', phase: 'waiting', providerJobId: 'theirs' });
    await job.settle();
    expect(job.inputs('awaitProviderChange')[0]).toMatchObject({
      providerJobId: 'theirs',
      submittedAt: '2025-12-31T00:00:00.000Z',
      seen: [],
    });
    expect(job.names()).not.toContain('submitJob');
    expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'succeeded' } });
  });

  it('looks for the job where a create was begun, without checking or uploading again', async () => {
    const remoteFiles = { training: 'remote-t', validation: 'remote-v' };
    const job = await startJob(sandbox, {}, { startAt: 'submit', remoteFiles });
    await job.settle();
    expect(job.names()[0]).toBe('submitJob');
    expect(job.inputs('submitJob')).toMatchObject([{ files: remoteFiles }]);
  });

  it('begins anew where its files are not known', async () => {
    const job = await startJob(sandbox, {}, { startAt: 'submit', remoteFiles: {} });
    await job.settle();
    expect(job.names()[0]).toBe('preflightDataset');
    expect(job.closed()).toMatchObject({ as: 'completed' });
  });

  it('keeps the outcome of a row that was terminal before it', async () => {
    const job = await startJob(sandbox, { recordJob: () => completes({ status: 'cancelled', phase: 'finished' }) });
    await job.settle();
    expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'cancelled' } });
  });
});

function versionOf(input: unknown): StateVersion {
  // @NOTE Every activity's input carries one: `StageInput`.
  return (input as { version: StateVersion }).version;
}
// @NOTE Inputs as the workflow's own types have them.
const seenOf = (input: unknown) => input as { seen: readonly string[] };
const roleOf = (input: unknown) => (input as { role: string }).role;
const resultOf = (closed: unknown) => (closed as { result: unknown }).result;

function viewOfFailure(closed: unknown): JobView | undefined {
  const { error } = closed as { error: Error };
  // @NOTE The failure's first detail is the view.
  return error instanceof ApplicationFailure ? (error.details?.[0] as JobView) : undefined;
}
