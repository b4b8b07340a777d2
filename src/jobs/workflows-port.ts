import type { FineTuningJobInput } from '../domain/activities.js';
import type { JobView } from '../domain/job.js';

/** Where a run of a job stands in Temporal. `not_found`: Temporal knows no run of that id. */
export type RunStatus = 'running' | 'completed' | 'failed' | 'cancelled' | 'terminated' | 'timed_out' | 'not_found';

/** `first`: no run of this job may exist, closed ones included. `adopt`: a closed run may be followed by a new one. */
export type StartMode = 'first' | 'adopt';

/** What a start carries beside the workflow's input: what people read in the Web UI. None of it is secret. */
export interface StartOptions {
  readonly mode: StartMode;
  readonly deadlineMs: number;
}

/**
 * The front door's only way to Temporal. Every call has a deadline. Failures are GatewayErrors: `temporal_unavailable`
 * (Temporal does not answer) or, from `pause` and `resume`, the code with which the workflow refused.
 */
export interface JobWorkflows {
  /** Starts a run whose workflow id is the job id. False where one exists already, which is no failure. */
  start(input: FineTuningJobInput, options: StartOptions): Promise<boolean>;
  /** The workflow's own view. Fails where there is no run, no worker, or no answer in time. */
  query(jobId: string, deadlineMs: number): Promise<JobView>;
  /** False where there is no open run to take the signal. */
  signalCancel(jobId: string, reason: string, deadlineMs: number): Promise<boolean>;
  /** Asks the provider now instead of at the next poll. False where there is no open run. */
  signalRefresh(jobId: string, deadlineMs: number): Promise<boolean>;
  /** Returns once the provider has answered; its refusal is the error. */
  control(jobId: string, action: 'pause' | 'resume', deadlineMs: number): Promise<JobView>;
  describe(jobId: string, deadlineMs: number): Promise<RunStatus>;
}
