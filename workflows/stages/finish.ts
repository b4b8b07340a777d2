import { ActivityFailure, log } from '@temporalio/workflow';
import type { ProviderChange } from '../../src/domain/activities.js';
import type { JobError, JobState } from '../../src/domain/job.js';
import type { AtProvider, JobRun } from '../job-run.js';

/** For a provider that says failed and not why. */
export const UNEXPLAINED: JobError = {
  code: 'provider_job_failed',
  message: 'The provider ended the job as failed and gave no reason.',
  param: null,
};

/** Collects what the provider leaves, writes the terminal state, then cleans up. The row is terminal only when complete. */
export async function finish(run: JobRun, change: ProviderChange, job: AtProvider | null): Promise<void> {
  const { jobId } = run.input;
  let end: Partial<JobState> = { error: change.error, finishedAt: new Date().toISOString() };
  if (job !== null) {
    end = await run.activities.collectResults({
      jobId,
      version: run.tracker.nextVersion(),
      providerJobId: job.providerJobId,
      status: change.status,
    });
    end = { ...end, error: change.status === 'failed' ? (end.error ?? change.error ?? UNEXPLAINED) : null };
  }
  const version = run.tracker.nextVersion();
  const state: JobState = { ...run.tracker.state(), ...end, status: change.status, phase: 'finished' };
  const recorded = await run.activities.recordJob({ jobId, version, state });
  run.tracker.publish(version, { ...state, ...recorded });
  if (mustClean(run, change)) await clean(run);
}

/** What cannot be deleted stays; the job's outcome is written already and does not change by it. */
async function clean(run: JobRun): Promise<void> {
  const { jobId } = run.input;
  try {
    await run.activities.deleteRemote({ jobId, version: run.tracker.nextVersion(), remove: true });
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    log.warn('what was uploaded for the job could not be deleted', { jobId, error });
  }
}

function mustClean(run: JobRun, change: ProviderChange): boolean {
  const policy = run.input.remoteCleanup ?? 'on_failure';
  return policy === 'always' || (policy === 'on_failure' && change.status !== 'succeeded');
}
