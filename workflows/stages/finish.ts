import type { ProviderChange } from '../../src/domain/activities.js';
import type { JobState } from '../../src/domain/job.js';
import type { AtProvider, JobRun } from '../job-run.js';

/** Collects what the provider leaves, writes the terminal state, then cleans up. The row is terminal only when complete. */
export async function finish(run: JobRun, change: ProviderChange, job: AtProvider | null): Promise<void> {
  const { jobId } = run.input;
  let end: Partial<JobState> = { error: change.error };
  if (job !== null) {
    end = await run.activities.collectResults({
      jobId,
      version: run.tracker.nextVersion(),
      providerJobId: job.providerJobId,
      status: change.status,
    });
    end = { ...end, error: change.status === 'failed' ? (end.error ?? change.error) : null };
  }
  const version = run.tracker.nextVersion();
  const state: JobState = { ...run.tracker.state(), ...end, status: change.status, phase: 'finished' };
  const recorded = await run.activities.recordJob({ jobId, version, state });
  run.tracker.publish(version, { ...state, ...recorded });
  if (mustClean(run, change)) {
    await run.activities.deleteRemote({ jobId, version: run.tracker.nextVersion(), remove: true });
  }
}

function mustClean(run: JobRun, change: ProviderChange): boolean {
  const policy = run.input.remoteCleanup ?? 'on_failure';
  return policy === 'always' || (policy === 'on_failure' && change.status !== 'succeeded');
}
