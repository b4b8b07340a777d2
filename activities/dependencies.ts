import type { ReconcileReport, SweepReport } from '../src/domain/activities.js';
import type { FineTuningProvider, ProviderDefinition } from '../src/domain/provider-port.js';
import type { FileContents } from '../src/files/file-contents.js';
import type { FileStore } from '../src/files/file-store.js';
import type { FileRepository } from '../src/store/files.js';
import type { JobCheckpointsRepository } from '../src/store/job-checkpoints.js';
import type { JobEventsRepository } from '../src/store/job-events.js';
import type { JobSubmissionsRepository } from '../src/store/job-submissions.js';
import type { JobUploadsRepository } from '../src/store/job-uploads.js';
import type { JobRow, JobsRepository } from '../src/store/jobs.js';

/** A job's row with its vendor, opened with the job's credentials. */
export interface OpenedJob {
  readonly row: JobRow;
  readonly definition: ProviderDefinition;
  readonly provider: FineTuningProvider;
}

export interface ActivityDependencies {
  readonly jobs: JobsRepository;
  readonly submissions: JobSubmissionsRepository;
  readonly jobUploads: JobUploadsRepository;
  readonly events: JobEventsRepository;
  readonly checkpoints: JobCheckpointsRepository;
  readonly files: FileRepository;
  /** Where results are kept. */
  readonly fileStore: FileStore;
  readonly contents: FileContents;
  /** Reads the row and opens its credentials, anew at each call: a rotated key is used from the next attempt on. */
  readonly openJob: (jobId: string) => Promise<OpenedJob>;
  readonly reconcile: () => Promise<ReconcileReport>;
  readonly sweepFiles: (signal: AbortSignal) => Promise<SweepReport>;
  /** Multiplies every interval, back-off and vendor's delay; 1 in production. */
  readonly pollIntervalScale: number;
  readonly maxResultFileBytes: number;
  /** Of one row of a dataset. */
  readonly maxRowBytes: number;
  /** Of one dataset; null: no limit. */
  readonly maxDatasetRows: number | null;
  /** A number in [0, 1): the jitter's source. */
  readonly random: () => number;
  readonly now: () => number;
}
