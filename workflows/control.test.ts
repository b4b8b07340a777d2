import { beforeAll, describe, expect, it } from 'vitest';
import {
  completes,
  fails,
  PROVIDER_JOB,
  reports,
  retries,
  startJob,
  stays,
  type JobScript,
} from '../test/support/job-workflow.js';
import { bundleWorkflows, createWorkflowSandbox, type WorkflowSandbox } from '../test/support/workflow-sandbox.js';

let sandbox: WorkflowSandbox;
beforeAll(async () => {
  sandbox = await createWorkflowSandbox(await bundleWorkflows());
});

/** A provider whose job stays in the status that the test says. */
function provider(first: 'running' | 'paused') {
  let status: 'running' | 'paused' | 'succeeded' | 'cancelled' = first;
  const script: JobScript = {
    awaitProviderChange: ({ input }) =>
      status === 'succeeded' || status === 'cancelled' || !seenOf(input).includes(status)
        ? reports(status)
        : retries(10_000),
  };
  return {
    script,
    says(next: typeof status) {
      status = next;
    },
  };
}

describe('pause and resume', () => {
  it('answer with the job as the provider then has it', async () => {
    const there = provider('running');
    const job = await startJob(sandbox, there.script);
    await job.settle(1_000);
    there.says('paused');
    const pause = job.update('pause');
    await job.settle(1_000);
    expect(pause).toMatchObject({ accepted: true, rejected: null, result: { status: 'paused', phase: 'waiting' } });
    expect(job.inputs('controlJob')).toMatchObject([{ providerJobId: PROVIDER_JOB, action: 'pause' }]);
    expect(await job.view()).toMatchObject({ status: 'paused' });

    there.says('running');
    const resume = job.update('resume');
    await job.settle(1_000);
    expect(resume).toMatchObject({ rejected: null, result: { status: 'running' } });
    there.says('succeeded');
    await job.settle();
    expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'succeeded' } });
  });

  it('ask the provider anew at once', async () => {
    const there = provider('running');
    const job = await startJob(sandbox, there.script);
    await job.settle(1_000);
    const polls = job.inputs('awaitProviderChange').length;
    there.says('paused');
    job.update('pause');
    await job.settle(0);
    expect(job.inputs('awaitProviderChange')).toHaveLength(polls + 1);
  });

  it('fail with the refusal of the provider, and change nothing', async () => {
    const job = await startJob(sandbox, {
      ...provider('running').script,
      controlJob: () => fails('provider_wrong_state'),
    });
    await job.settle(1_000);
    const before = await job.view();
    const pause = job.update('pause');
    await job.settle(1_000);
    expect(pause).toMatchObject({ accepted: true, rejected: { type: 'provider_wrong_state' } });
    expect(await job.view()).toEqual(before);
  });

  it('fail after three attempts where the provider cannot be reached', async () => {
    const job = await startJob(sandbox, {
      ...provider('running').script,
      controlJob: () => retries(2_000, 'provider_unavailable'),
    });
    await job.settle(1_000);
    const pause = job.update('pause');
    await job.settle(30_000);
    expect(job.inputs('controlJob')).toHaveLength(3);
    expect(pause).toMatchObject({ rejected: { type: 'provider_unavailable' } });
  });

  it.each(['preflightDataset', 'uploadDataset', 'submitJob'] as const)(
    'are refused before the provider has the job (%s)',
    async (stage) => {
      const job = await startJob(sandbox, { [stage]: () => stays });
      await job.settle();
      const updates = [job.update('pause'), job.update('resume')];
      await job.settle();
      for (const update of updates) {
        expect(update).toMatchObject({ accepted: false, rejected: { type: 'invalid_job_state' } });
      }
      expect(job.names()).not.toContain('controlJob');
    },
  );

  it('are refused from the moment that a cancel is asked for', async () => {
    const job = await startJob(sandbox, { ...provider('running').script, recordJob: () => stays });
    await job.settle(1_000);
    job.signal('cancel');
    const together = job.update('pause');
    await job.settle(0);
    const later = job.update('resume');
    await job.settle(0);
    expect(together).toMatchObject({ accepted: false, rejected: { type: 'invalid_job_state' } });
    expect(later).toMatchObject({ accepted: false, rejected: { type: 'invalid_job_state' } });
  });

  it('are refused once the terminal word is known: a version above the terminal one would keep it out of the row', async () => {
    const job = await startJob(sandbox, { collectResults: () => stays });
    await job.settle();
    const pause = job.update('pause');
    await job.settle();
    expect(pause).toMatchObject({ accepted: false, rejected: { type: 'invalid_job_state' } });
  });

  it('of a run that adopted the job work at once', async () => {
    const job = await startJob(
      sandbox,
      { awaitProviderChange: () => stays },
      { startAt: 'wait', providerJobId: 'theirs', status: 'running' },
    );
    await job.settle();
    const pause = job.update('pause');
    await job.settle();
    expect(pause).toMatchObject({ result: { status: 'paused', providerJobId: 'theirs' } });
  });
});

describe('a pause that is out while the job ends', () => {
  const late = completes({ status: 'paused', phase: 'waiting' });

  it.each(['api', 'native'] as const)(
    'keeps the run open, and its late answer does not undo the end (%s cancel)',
    async (source) => {
      const there = provider('running');
      const job = await startJob(sandbox, { ...there.script, controlJob: () => stays });
      await job.settle(1_000);
      const pause = job.update('pause');
      await job.settle(100);
      there.says('cancelled');
      if (source === 'api') job.signal('cancel');
      else job.cancel();
      await job.settle();
      expect(job.closed()).toBeNull();
      expect(await job.view()).toMatchObject({ status: 'cancelled', phase: 'finished' });
      job.resolve('controlJob', late);
      await job.settle();
      expect(pause).toMatchObject({
        accepted: true,
        rejected: null,
        result: { status: 'cancelled', phase: 'finished' },
      });
      if (source === 'native') expect(job.closed()).toEqual({ as: 'cancelled' });
      else expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'cancelled' } });
    },
  );

  it('does not turn a failed job into a completed run', async () => {
    const job = await startJob(sandbox, { awaitProviderChange: () => stays, controlJob: () => stays });
    await job.settle();
    job.update('pause');
    await job.settle();
    job.resolve('awaitProviderChange', reports('failed', { code: 'exploded', message: 'no', param: null }));
    await job.settle();
    job.resolve('controlJob', late);
    await job.settle();
    expect(job.closed()).toMatchObject({ as: 'failed', error: { type: 'exploded' } });
  });
});

describe('the statuses that a wait knows', () => {
  it('begin anew with each pause, so that the next change is seen', async () => {
    const there = provider('running');
    const job = await startJob(sandbox, there.script);
    await job.settle(1_000);
    for (const status of ['paused', 'running', 'paused', 'running'] as const) {
      there.says(status);
      job.signal('refresh');
      await job.settle(1_000);
      expect(await job.view()).toMatchObject({ status });
    }
    expect(seenOf(job.inputs('awaitProviderChange').at(-1))).toEqual(['running']);
  });

  it('hold all since submit otherwise', async () => {
    const job = await startJob(sandbox);
    await job.settle();
    expect(job.inputs('awaitProviderChange').map((input) => seenOf(input).join())).toEqual(
      expect.arrayContaining(['validating_files', 'validating_files,queued', 'validating_files,queued,running']),
    );
  });

  it('and an answer that is older than a pause does not undo it', async () => {
    const job = await startJob(sandbox, { awaitProviderChange: () => stays, controlJob: () => stays });
    await job.settle();
    job.update('pause');
    await job.settle();
    // In one activation: the pause was written first, then the poll that had begun before it says running.
    job.resolve('controlJob', completes({ status: 'paused', phase: 'waiting' }));
    job.resolve('awaitProviderChange', reports('running'));
    await job.settle();
    expect(await job.view()).toMatchObject({ status: 'paused' });
  });
});

describe('a refresh', () => {
  it('asks the provider now instead of at the next poll', async () => {
    const job = await startJob(sandbox, { awaitProviderChange: () => retries(300_000) });
    await job.settle(1_000);
    job.signal('refresh');
    await job.settle(0);
    expect(job.inputs('awaitProviderChange')).toHaveLength(2);
    expect(job.nowMs() - (job.attempts[0]?.atMs ?? 0)).toBe(1_000);
  });

  it('does nothing before the provider has the job', async () => {
    const job = await startJob(sandbox, { submitJob: () => stays });
    await job.settle();
    job.signal('refresh');
    await job.settle();
    expect(job.pending()).toEqual(['submitJob']);
  });

  it('of a poll that is answered at the same time loses nothing', async () => {
    const job = await startJob(sandbox, { awaitProviderChange: () => stays });
    await job.settle();
    job.signal('refresh');
    job.resolve('awaitProviderChange', reports('succeeded'));
    await job.settle();
    if (job.closed() === null) {
      job.resolve('awaitProviderChange', reports('succeeded'));
      await job.settle();
    }
    expect(job.closed()).toMatchObject({ as: 'completed', result: { status: 'succeeded' } });
  });
});

// @NOTE Inputs as the workflow's own types have them.
const seenOf = (input: unknown) => (input as { seen: readonly string[] }).seen;
