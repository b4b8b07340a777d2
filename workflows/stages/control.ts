import { ActivityFailure, ApplicationFailure, CancellationScope } from '@temporalio/workflow';
import type { JobView } from '../../src/domain/job.js';
import type { JobRun } from '../job-run.js';

/** Pauses or resumes at the provider. Its refusal is the update's failure. */
export async function controlAtProvider(run: JobRun, action: 'pause' | 'resume'): Promise<JobView> {
  const { providerJobId } = run.tracker.view();
  if (providerJobId === null) throw notWaiting(run);
  const version = run.tracker.nextVersion();
  try {
    const recorded = await CancellationScope.nonCancellable(() =>
      run.activities.controlJob({ jobId: run.input.jobId, version, providerJobId, action }),
    );
    run.tracker.publish(version, recorded);
  } catch (error) {
    throw error instanceof ActivityFailure && error.cause instanceof ApplicationFailure ? error.cause : error;
  }
  run.interruption.refresh();
  return run.tracker.view();
}

/** Before the provider has the job, once it is being cancelled and at its end there is nothing to pause or resume. */
export function refuseUnlessWaiting(run: JobRun): void {
  const { phase, providerJobId, cancelRequested } = run.tracker.view();
  const waiting = phase === 'waiting' && providerJobId !== null;
  if (!waiting || cancelRequested || run.tracker.ending()) throw notWaiting(run);
}

function notWaiting(run: JobRun): ApplicationFailure {
  const { status, phase } = run.tracker.view();
  return ApplicationFailure.nonRetryable(
    `The job is ${status} (${phase}); only a job that the provider is working on can be paused or resumed.`,
    'invalid_job_state',
  );
}
