import type { ProviderChange } from '../../src/domain/activities.js';
import { isTerminal } from '../../src/domain/job-state.js';
import { StageInterrupted } from '../interruption.js';
import type { AtProvider, JobRun } from '../job-run.js';

/**
 * Waits for the provider's terminal word, however long it takes; one activity per new status.
 * With `untilCancelled` a cancel ends it with StageInterrupted; a refresh only asks again.
 */
export async function awaitTerminal(
  run: JobRun,
  job: AtProvider,
  options: { readonly untilCancelled: boolean },
): Promise<ProviderChange> {
  for (;;) {
    if (options.untilCancelled && run.interruption.cancelRequested()) throw new StageInterrupted('cancel requested');
    const version = run.tracker.nextVersion();
    const change = await run.interruption.refreshable(
      () =>
        run.activities.awaitProviderChange({
          jobId: run.input.jobId,
          version,
          providerJobId: job.providerJobId,
          submittedAt: job.submittedAt,
          seen: run.tracker.seen(),
        }),
      options,
    );
    if (change === null) continue;
    if (isTerminal(change.status)) return change;
    run.tracker.publish(version, { status: change.status });
  }
}
