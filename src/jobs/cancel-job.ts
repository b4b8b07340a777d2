import { GatewayError } from '../domain/errors.js';
import { isTerminal, type JobStatus } from '../domain/job-state.js';
import type { JobRow, JobsRepository } from '../store/jobs.js';
import type { JobLog } from './job-caller.js';
import { jobNotFound, type JobReader } from './read-job.js';
import type { JobWorkflows } from './workflows-port.js';

export interface CancelJobDependencies {
  readonly jobs: Pick<JobsRepository, 'requestCancel'>;
  readonly reader: Pick<JobReader, 'get'>;
  readonly workflows: Pick<JobWorkflows, 'signalCancel'>;
  readonly log: JobLog;
}

export type CancelJob = (workspaceId: string, id: string) => Promise<JobRow>;

const SIGNAL_DEADLINE_MS = 1_500;

/**
 * Asks for a job to be cancelled and answers with the job as it stands. The wish is in the row first, so it holds whether
 * Temporal can be told now or only later. Fails with `job_not_found`, and `invalid_job_state` for a finished job.
 */
export function createJobCanceller(dependencies: CancelJobDependencies): CancelJob {
  const { jobs, reader, workflows, log } = dependencies;
  return async (workspaceId, id) => {
    const row = await jobs.requestCancel(workspaceId, id);
    if (row === undefined) throw jobNotFound(id);
    if (isTerminal(row.status)) throw alreadyFinished(row, 'cancel');
    try {
      const delivered = await workflows.signalCancel(id, 'api', SIGNAL_DEADLINE_MS);
      if (!delivered) log.warn({ jobId: id }, 'cancel: the job has no open run yet; the reconciler will see to it');
    } catch (error) {
      log.warn({ err: error, jobId: id }, 'cancel: Temporal could not be told; the reconciler will repeat it');
    }
    return reader.get(workspaceId, id);
  };
}

const OUTCOME: Readonly<Record<JobStatus, string>> = {
  succeeded: 'has already succeeded',
  failed: 'has already failed',
  cancelled: 'has already been cancelled',
  validating_files: 'is not running yet',
  queued: 'is queued',
  running: 'is running',
  paused: 'is paused',
};

/** The refusal of an operation on a finished job, in words like OpenAI's. */
export function alreadyFinished(
  row: Pick<JobRow, 'id' | 'status'>,
  action: 'cancel' | 'pause' | 'resume',
): GatewayError {
  return new GatewayError('invalid_job_state', `Cannot ${action} job ${row.id}: it ${OUTCOME[row.status]}.`);
}
