import type { RemoteFiles } from '../../src/domain/job.js';
import type { AtProvider, JobRun } from '../job-run.js';

/** Finds the job at the provider by its marker, or creates it. A cancel ends a wait for quota at once. */
export async function submit(run: JobRun, files: RemoteFiles): Promise<AtProvider> {
  const version = run.tracker.nextVersion();
  const submitted = await run.interruption.cancellable(() =>
    run.activities.submitJob({ jobId: run.input.jobId, version, files }),
  );
  const { status, phase, providerJobId, submittedAt } = submitted;
  run.tracker.bindProviderJob(providerJobId);
  run.tracker.publish(version, { status, phase });
  return { providerJobId, submittedAt };
}
