import type { FineTuningJobInput, JobActivities, ProviderChange } from '../src/domain/activities.js';
import type { Interruption } from './interruption.js';
import type { JobTracker } from './job-tracker.js';

/** What the stages of one run share. */
export interface JobRun {
  readonly input: FineTuningJobInput;
  readonly tracker: JobTracker;
  readonly interruption: Interruption;
  readonly activities: JobActivities;
}

/** A job that the provider has. */
export interface AtProvider {
  readonly providerJobId: string;
  /** ISO 8601; the poll cadence counts from here. */
  readonly submittedAt: string;
}

/** The terminal word, and the job it is about; null where the provider has none, or none to collect from. */
export interface Ending {
  readonly change: ProviderChange;
  readonly job: AtProvider | null;
}
