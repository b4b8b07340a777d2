import { ActivityFailure, log, patched } from '@temporalio/workflow';
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
  const remove = mustRemove(run, change);
  if (remove || mayBeHalfDone(job)) await clean(run, remove);
}

/** What cannot be deleted stays; the job's outcome is written already and does not change by it. */
async function clean(run: JobRun, remove: boolean): Promise<void> {
  const { jobId } = run.input;
  try {
    await run.activities.deleteRemote({ jobId, version: run.tracker.nextVersion(), remove });
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    log.warn('what was uploaded for the job could not be deleted', { jobId, error });
  }
}

function mustRemove(run: JobRun, change: ProviderChange): boolean {
  const policy = run.input.remoteCleanup ?? 'on_failure';
  return policy === 'always' || (policy === 'on_failure' && change.status !== 'succeeded');
}

/**
 * An upload whose worker died, and that no attempt took up again, is of no use to anybody, whatever the policy keeps. Where
 * the provider has the job there is none: every upload had ended well before it was submitted.
 */
function mayBeHalfDone(job: AtProvider | null): boolean {
  return job === null && patched('discard-half-done-uploads');
}
