import type { AtProvider, Ending, JobRun } from '../job-run.js';
import { awaitTerminal } from './wait.js';

const CANCELLED: Ending = { change: { status: 'cancelled', error: null }, job: null };

/**
 * Cancels, and then waits for the provider's terminal word: it may say succeeded. Where no job was ever made
 * there, the job is cancelled by that.
 */
export async function cancelAndWait(run: JobRun, atProvider: AtProvider | null): Promise<Ending> {
  await recordCancelling(run);
  // Before submit too: a run that was reset begins anew, and only the row knows that the one before it had submitted.
  const { providerJobId } = await run.activities.cancelAtProvider({
    jobId: run.input.jobId,
    version: run.tracker.nextVersion(),
    providerJobId: atProvider?.providerJobId ?? null,
  });
  if (providerJobId === null) return CANCELLED;
  run.tracker.bindProviderJob(providerJobId);
  // The polls begin anew at their shortest interval: a cancel is waited for.
  const job = { providerJobId, submittedAt: new Date().toISOString() };
  return { change: await awaitTerminal(run, job, { untilCancelled: false }), job };
}

async function recordCancelling(run: JobRun): Promise<void> {
  const version = run.tracker.nextVersion();
  const recorded = await run.activities.recordJob({
    jobId: run.input.jobId,
    version,
    state: { ...run.tracker.state(), phase: 'cancelling' },
  });
  run.tracker.publish(version, recorded);
}
