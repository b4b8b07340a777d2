import { createJobCanceller, type CancelJob } from './cancel-job.js';
import { createJobController, type ControlJob } from './control-job.js';
import { createJobCreator, type CreateJob, type CreateJobDependencies } from './create-job.js';
import { createJobReader, type JobReader, type ReadJobDependencies } from './read-job.js';
import type { JobWorkflows } from './workflows-port.js';
import type { JobsRepository } from '../store/jobs.js';

export interface JobServiceDependencies
  extends Omit<CreateJobDependencies, 'jobs'>, Omit<ReadJobDependencies, 'jobs' | 'workflows'> {
  readonly jobs: Pick<JobsRepository, 'insert' | 'find' | 'findSame' | 'requireFiles' | 'list' | 'requestCancel'>;
  readonly workflows: Pick<JobWorkflows, 'query' | 'signalCancel' | 'control'>;
}

/** What the front door does with jobs. */
export interface JobService {
  readonly create: CreateJob;
  readonly read: JobReader;
  readonly cancel: CancelJob;
  readonly control: ControlJob;
}

export function createJobService(dependencies: JobServiceDependencies): JobService {
  const read = createJobReader(dependencies);
  return {
    create: createJobCreator(dependencies),
    read,
    cancel: createJobCanceller({ ...dependencies, reader: read }),
    control: createJobController({ ...dependencies, reader: read }),
  };
}
