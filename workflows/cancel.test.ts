import { beforeAll, describe, expect, it } from 'vitest';
import type { JobState } from '../src/domain/job.js';
import {
  cancels,
  completes,
  PROVIDER_JOB,
  reports,
  RESULTS,
  retries,
  startJob,
  stays,
  staysOnce,
  type JobInSandbox,
  type JobScript,
} from '../test/support/job-workflow.js';
import { bundleWorkflows, createWorkflowSandbox, type WorkflowSandbox } from '../test/support/workflow-sandbox.js';

let sandbox: WorkflowSandbox;
beforeAll(async () => {
  sandbox = await createWorkflowSandbox(await bundleWorkflows());
});

type Source = 'api' | 'native';

function requestCancel(job: JobInSandbox, source: Source): void {
  if (source === 'api') job.signal('cancel', { reason: 'test' });
  else job.cancel();
}

/** The run's end where the job was cancelled: by the API it closes Completed, by a cancellation of the run Canceled. */
function expectCancelled(job: JobInSandbox, source: Source): void {
  const recorded = job.inputs('recordJob').map((input) => stateOf(input));
  expect(recorded.map(({ status, phase }) => `${status} ${phase}`)).toEqual([
    expect.stringMatching(/ cancelling$/),
    'cancelled finished',
  ]);
  if (source === 'native') expect(job.closed()).toEqual({ as: 'cancelled' });
  else expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'cancelled', cancelRequested: true } });
}

const submitted = {
  status: 'queued',
  phase: 'waiting',
  providerJobId: PROVIDER_JOB,
  submittedAt: '2026-01-01T00:00:00.000Z',
};

describe.each(['api', 'native'] as const)('a cancel (%s)', (source) => {
  it('before anything has run: nothing is sent but the question whether an earlier run had submitted', async () => {
    const job = await startJob(sandbox);
    requestCancel(job, source);
    await job.settle();
    expect(job.names()).toEqual(['recordJob', 'cancelAtProvider', 'recordJob', 'deleteRemote']);
    expect(job.inputs('cancelAtProvider')).toMatchObject([{ providerJobId: null }]);
    expectCancelled(job, source);
  });

  it('while the files are checked: at once, and nothing is uploaded', async () => {
    const job = await startJob(sandbox, { preflightDataset: () => stays });
    await job.settle();
    requestCancel(job, source);
    await job.settle();
    expect(job.commands.filter((command) => command === 'cancel preflightDataset')).toHaveLength(2);
    expect(job.names()).not.toContain('uploadDataset');
    expectCancelled(job, source);
  });

  it('while files are uploaded: only once no upload is in flight, and what was uploaded is deleted', async () => {
    const job = await startJob(sandbox, { uploadDataset: () => stays });
    await job.settle();
    requestCancel(job, source);
    await job.settle();
    expect(job.names()).not.toContain('recordJob');
    job.resolve('uploadDataset', cancels);
    await job.settle();
    expect(job.names()).not.toContain('recordJob');
    job.resolve('uploadDataset', completes({ status: 'validating_files', phase: 'uploading', remoteFileId: 'late' }));
    await job.settle();
    expect(job.names()).not.toContain('submitJob');
    expect(job.names().at(-1)).toBe('deleteRemote');
    expectCancelled(job, source);
  });

  it('while files are uploaded: what is half-done is given up, whatever the policy keeps', async () => {
    const job = await startJob(sandbox, { uploadDataset: () => stays }, { remoteCleanup: 'never' });
    await job.settle();
    requestCancel(job, source);
    for (let count = 0; count < 2; count += 1) job.resolve('uploadDataset', cancels);
    await job.settle();
    expect(job.inputs('deleteRemote')).toMatchObject([{ remove: false }]);
    expectCancelled(job, source);
  });

  it('of uploads that end well all the same: nothing is submitted', async () => {
    const job = await startJob(sandbox, { uploadDataset: () => stays });
    await job.settle();
    requestCancel(job, source);
    await job.settle();
    for (const remoteFileId of ['one', 'two']) {
      job.resolve('uploadDataset', completes({ status: 'validating_files', phase: 'uploading', remoteFileId }));
    }
    await job.settle();
    expect(job.names()).not.toContain('submitJob');
    expectCancelled(job, source);
  });

  it('while a create waits for quota: at once', async () => {
    const job = await startJob(sandbox, { submitJob: () => retries(3_600_000, 'provider_quota_exceeded') });
    await job.settle(10_000);
    requestCancel(job, source);
    const cancelledAtMs = job.nowMs();
    await job.settle();
    expect(job.nowMs()).toBe(cancelledAtMs);
    expect(job.inputs('cancelAtProvider')).toMatchObject([{ providerJobId: null }]);
    expectCancelled(job, source);
  });

  it('while a create is in flight that then succeeds: the new job is cancelled by its id', async () => {
    const job = await startJob(sandbox, { submitJob: () => stays });
    await job.settle();
    requestCancel(job, source);
    await job.settle();
    expect(job.names()).not.toContain('cancelAtProvider');
    job.resolve('submitJob', completes(submitted));
    await job.settle();
    expect(job.inputs('cancelAtProvider')).toMatchObject([{ providerJobId: PROVIDER_JOB }]);
    expectCancelled(job, source);
  });

  it('while a create is in flight that then fails, retryably (CANCEL_REQUESTED): the job is looked for by marker', async () => {
    const job = await startJob(sandbox, {
      submitJob: () => stays,
      cancelAtProvider: () => completes({ outcome: 'requested', providerJobId: 'found-by-marker' }),
      awaitProviderChange: () => reports('cancelled'),
    });
    await job.settle();
    requestCancel(job, source);
    await job.settle();
    job.resolve('submitJob', retries(1_000, 'provider_unavailable'));
    await job.settle();
    expect(job.inputs('cancelAtProvider')).toMatchObject([{ providerJobId: null }]);
    expect(job.inputs('awaitProviderChange')).toMatchObject([{ providerJobId: 'found-by-marker' }]);
    expect(await job.view()).toMatchObject({ providerJobId: 'found-by-marker' });
    expectCancelled(job, source);
  });

  it('while a create is in flight that the provider refuses: the job failed, by its word', async () => {
    const job = await startJob(sandbox, { submitJob: () => stays });
    await job.settle();
    requestCancel(job, source);
    await job.settle();
    job.resolve('submitJob', { outcome: 'fails', type: 'model_not_available' });
    await job.settle();
    expect(job.closed()).toMatchObject({ as: 'failed', error: { type: 'model_not_available' } });
  });

  it('while waiting between two polls: at once, and then until the provider confirms it', async () => {
    let cancelPolls = 0;
    const job = await startJob(sandbox, {
      awaitProviderChange: () => (job.names().includes('cancelAtProvider') ? cancelPoll() : retries(300_000)),
    });
    const cancelPoll = () => ((cancelPolls += 1) < 4 ? retries(2_000) : reports('cancelled'));
    await job.settle(60_000);
    requestCancel(job, source);
    await job.settle(0);
    expect(job.inputs('cancelAtProvider')).toMatchObject([{ providerJobId: PROVIDER_JOB }]);
    expect(await job.view()).toMatchObject({ phase: 'cancelling', cancelRequested: true, status: 'validating_files' });
    await job.settle();
    expect(cancelPolls).toBe(4);
    expectCancelled(job, source);
  });

  it('while a poll is in flight: does not wait for it', async () => {
    const job = await startJob(sandbox, { awaitProviderChange: staysOnce(() => reports('cancelled')) });
    await job.settle();
    requestCancel(job, source);
    await job.settle();
    expectCancelled(job, source);
  });

  it('that comes with the very poll that says succeeded: the provider decides', async () => {
    const job = await startJob(sandbox, {
      awaitProviderChange: staysOnce(() => reports('succeeded')),
      cancelAtProvider: () => completes({ outcome: 'finished', providerJobId: PROVIDER_JOB }),
    });
    await job.settle();
    requestCancel(job, source);
    job.resolve('awaitProviderChange', reports('succeeded'));
    await job.settle();
    expect(job.closed()).toMatchObject({
      as: 'completed',
      result: { status: 'succeeded', fineTunedModel: 'ft:model' },
    });
  });

  it.each(['succeeded', 'failed'] as const)(
    'after which the provider says %s: that is how the job ends',
    async (status) => {
      const job = await startJob(sandbox, {
        awaitProviderChange: () => (job.names().includes('cancelAtProvider') ? reports(status) : retries(60_000)),
      });
      await job.settle(1_000);
      requestCancel(job, source);
      await job.settle();
      expect(stateOf(job.inputs('recordJob').at(-1)).status).toBe(status);
      if (status === 'succeeded') {
        expect(job.closed()).toMatchObject({ as: 'completed', result: { status, ...RESULTS } });
      } else {
        expect(job.closed()).toMatchObject({ as: 'failed' });
      }
    },
  );

  it('while results are collected: too late, and nothing is interrupted', async () => {
    const job = await startJob(sandbox, { collectResults: () => stays });
    await job.settle();
    requestCancel(job, source);
    await job.settle();
    expect(job.pending()).toEqual(['collectResults']);
    expect(await job.view()).toMatchObject({ cancelRequested: true });
    job.resolve('collectResults', completes(RESULTS));
    await job.settle();
    expect(job.names()).not.toContain('cancelAtProvider');
    expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'succeeded' } });
  });

  it('repeated, also while cancelling and from the other side, changes nothing', async () => {
    const job = await startJob(sandbox, { cancelAtProvider: () => stays, awaitProviderChange: () => awaited() });
    const awaited = () => (job.names().includes('cancelAtProvider') ? reports('cancelled') : retries(60_000));
    await job.settle(1_000);
    requestCancel(job, source);
    requestCancel(job, 'api');
    await job.settle();
    job.signal('cancel');
    job.signal('refresh');
    await job.settle();
    expect(job.names().filter((name) => name === 'cancelAtProvider')).toHaveLength(1);
    job.resolve('cancelAtProvider', completes({ outcome: 'requested', providerJobId: PROVIDER_JOB }));
    await job.settle();
    expectCancelled(job, source);
  });
});

describe('a cancel by the API, then one of the run', () => {
  it('closes Canceled once the provider has confirmed', async () => {
    let confirmed = false;
    const job = await startJob(sandbox, {
      awaitProviderChange: () => (confirmed ? reports('cancelled') : retries(1_000)),
    });
    await job.settle(500);
    job.signal('cancel');
    await job.settle(500);
    job.cancel();
    await job.settle(500);
    expect(job.closed()).toBeNull();
    confirmed = true;
    await job.settle();
    expect(job.names().filter((name) => name === 'cancelAtProvider')).toHaveLength(1);
    expect(job.closed()).toEqual({ as: 'cancelled' });
  });
});

describe('the wait for the terminal word after a cancel', () => {
  it('goes on through statuses that are not terminal, and a refresh asks again', async () => {
    const script: JobScript = {
      awaitProviderChange: ({ input }) => {
        if (!job.names().includes('cancelAtProvider')) return retries(60_000);
        if (!seenOf(input).includes('running')) return reports('running');
        return asked < 1 ? retries(3_600_000) : reports('cancelled');
      },
    };
    let asked = 0;
    const job = await startJob(sandbox, script);
    await job.settle(1_000);
    job.signal('cancel');
    await job.settle(1_000);
    expect(await job.view()).toMatchObject({ status: 'running', phase: 'cancelling' });
    asked = 1;
    job.signal('refresh');
    await job.settle(1_000);
    expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'cancelled' } });
  });
});

describe('a run that adopts a job to be cancelled', () => {
  it.each([
    ['validate', {}, null],
    ['submit', { remoteFiles: { training: 'a', validation: 'b' } }, null],
    ['wait', { providerJobId: 'theirs', status: 'running' }, 'theirs'],
  ] as const)('from %s cancels first', async (startAt, rest, providerJobId) => {
    const job = await startJob(sandbox, {}, { startAt, ...rest, cancelRequested: true });
    expect(await job.view()).toMatchObject({ cancelRequested: true });
    await job.settle();
    expect(job.names().slice(0, 2)).toEqual(['recordJob', 'cancelAtProvider']);
    expect(job.inputs('cancelAtProvider')).toMatchObject([{ providerJobId }]);
    expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'cancelled' } });
  });

  it('finds what an earlier run had submitted, waits for its end and collects it', async () => {
    const job = await startJob(
      sandbox,
      {
        cancelAtProvider: () => completes({ outcome: 'finished', providerJobId: 'of-the-run-before' }),
        awaitProviderChange: () => reports('succeeded'),
      },
      { startAt: 'validate', cancelRequested: true },
    );
    await job.settle();
    expect(job.inputs('collectResults')).toMatchObject([{ providerJobId: 'of-the-run-before', status: 'succeeded' }]);
    expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'succeeded' } });
  });
});

// @NOTE Inputs as the workflow's own types have them.
const stateOf = (input: unknown) => (input as { state: JobState }).state;
const seenOf = (input: unknown) => (input as { seen: readonly string[] }).seen;
