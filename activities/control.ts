import { Context } from '@temporalio/activity';
import type { ControlInput, Recorded } from '../src/domain/activities.js';
import { isTerminal } from '../src/domain/job-state.js';
import type { ActivityDependencies } from './dependencies.js';

/** Pauses or resumes at the provider and writes the status it answers. */
export async function controlJob(dependencies: ActivityDependencies, input: ControlInput): Promise<Recorded> {
  const { jobs, events } = dependencies;
  const signal = Context.current().cancellationSignal;
  const { row, provider } = await dependencies.openJob(input.jobId);
  const job =
    input.action === 'pause'
      ? await provider.pauseJob(input.providerJobId, signal)
      : await provider.resumeJob(input.providerJobId, signal);
  await jobs.recordObservation(input.jobId, { rawStatus: job.rawStatus });
  await events.append(input.jobId, [
    {
      sourceId: `gateway:${input.action}_${input.version.runId}_${input.version.sequence}`,
      level: 'info',
      type: 'message',
      message: input.action === 'pause' ? 'Pausing the job' : 'Resuming the job',
      data: {},
    },
  ]);
  const status = job.status === null || isTerminal(job.status) ? row.status : job.status;
  return jobs.recordState(input.jobId, input.version, { status });
}
