import type { DatasetRole, JobError, JobRequest, JobState, RemoteFiles, StateVersion } from './job.js';
import type { JobPhase, JobStatus } from './job-state.js';
import type { ProviderName } from './provider-name.js';

/** The stage a run begins at; a run that adopts a job begins where the row says the last one stood. */
export type StartStage = 'validate' | 'submit' | 'wait';

/**
 * Input of the workflow `fineTuningJob`: ids and the validated request, enough to write the row anew; no
 * credential and no row of data. New fields are optional, so that workers can be rolled before gateways.
 */
export interface FineTuningJobInput {
  readonly jobId: string;
  readonly workspaceId: string;
  readonly provider: ProviderName;
  /** Fairness key of the provider queue. */
  readonly virtualKeyId: string;
  readonly request: JobRequest;
  /** ISO 8601: when the row was written. */
  readonly createdAt: string;
  readonly taskQueuePrefix: string;
  readonly startAt?: StartStage;
  readonly providerJobId?: string;
  /** ISO 8601: when the provider's job was made; the poll cadence counts from here. */
  readonly submittedAt?: string;
  readonly remoteFiles?: RemoteFiles;
  /** The provider's last word before this run, where it adopts a job. */
  readonly status?: JobStatus;
  readonly cancelRequested?: boolean;
  /** False where the cluster does not know our search attributes. */
  readonly searchAttributes?: boolean;
  /** Multiplies every interval and back-off; 1 in production. */
  readonly pollIntervalScale?: number;
  /** Multiplies activity time-outs; 1 in production. */
  readonly activityTimeoutScale?: number;
  /** When what we put at the provider is deleted. */
  readonly remoteCleanup?: RemoteCleanup;
}

export type RemoteCleanup = 'on_failure' | 'always' | 'never';

/** Every activity of a job names the job and the version its row writes carry. */
export interface StageInput {
  readonly jobId: string;
  readonly version: StateVersion;
}

/** What the row says after a write: the status never goes back, so it can differ from what was asked. */
export interface Recorded {
  readonly status: JobStatus;
  readonly phase: JobPhase;
}

export interface DatasetInput extends StageInput {
  readonly role: DatasetRole;
  readonly fileId: string;
}

export interface UploadedDataset extends Recorded {
  readonly remoteFileId: string;
}

export interface SubmitInput extends StageInput {
  readonly files: RemoteFiles;
}

export interface SubmittedJob extends Recorded {
  readonly providerJobId: string;
  /** ISO 8601: when the provider says the job was made; the poll cadence counts from here. */
  readonly submittedAt: string;
}

export interface AwaitChangeInput extends StageInput {
  readonly providerJobId: string;
  /** ISO 8601. */
  readonly submittedAt: string;
  /** Statuses already reported since submit or since the last `paused`; another one, or a terminal one, ends the wait. */
  readonly seen: readonly JobStatus[];
}

/** A status not in `seen`. For a terminal one the row is not written yet: results come first. */
export interface ProviderChange {
  readonly status: JobStatus;
  readonly error: JobError | null;
}

export interface CollectInput extends StageInput {
  readonly providerJobId: string;
  readonly status: JobStatus;
}

export interface CollectedResults {
  readonly fineTunedModel: string | null;
  readonly trainedTokens: number | null;
  readonly resultFiles: readonly string[];
  /** ISO 8601. */
  readonly finishedAt: string;
  readonly error: JobError | null;
}

export interface CancelInput extends StageInput {
  /** Null where submit ended without an id: the provider is searched by marker. */
  readonly providerJobId: string | null;
}

/** `requested`: the provider took it; `finished`: too late, its state decides; `nothing_there`: no job was ever made. */
export interface CancelOutcome {
  readonly outcome: 'requested' | 'finished' | 'nothing_there';
  readonly providerJobId: string | null;
}

export interface ControlInput extends StageInput {
  readonly providerJobId: string;
  readonly action: 'pause' | 'resume';
}

export interface RecordInput extends StageInput {
  readonly state: JobState;
}

export interface CleanInput extends StageInput {
  /** Whether the job's outcome and the policy ask for deletion; uploads that are half-done go in any case. */
  readonly remove: boolean;
}

/** The side effects of a job. Each is safe to retry and keyed by job id and version. Failure types are our error codes. */
export interface FineTuningActivities {
  /** Reads a dataset once. Fails with `invalid_training_file`, naming the lines. */
  readonly preflightDataset: (input: DatasetInput) => Promise<Recorded>;
  /** Puts a dataset at the provider, or finds the one an earlier attempt put there. */
  readonly uploadDataset: (input: DatasetInput) => Promise<UploadedDataset>;
  /** Finds the job by its marker, or creates it; never twice. */
  readonly submitJob: (input: SubmitInput) => Promise<SubmittedJob>;
  /** One poll per attempt; fails as `provider_unchanged` (benign) until there is a change. */
  readonly awaitProviderChange: (input: AwaitChangeInput) => Promise<ProviderChange>;
  /** After a terminal status: last events and checkpoints, result files, the tuned model. */
  readonly collectResults: (input: CollectInput) => Promise<CollectedResults>;
  /** Cancels at the provider, finding the job by its marker where its id is unknown. */
  readonly cancelAtProvider: (input: CancelInput) => Promise<CancelOutcome>;
  /** Pauses or resumes at the provider. Fails with `unsupported_operation` or `provider_wrong_state`. */
  readonly controlJob: (input: ControlInput) => Promise<Recorded>;
  /** Writes the workflow's state to the row. */
  readonly recordJob: (input: RecordInput) => Promise<Recorded>;
  /** Gives up what is half-done at the provider, and by policy deletes what was uploaded for the job. */
  readonly deleteRemote: (input: CleanInput) => Promise<void>;
  /** One round of the reconciler; see `src/jobs/reconcile.ts`. */
  readonly reconcileJobs: () => Promise<ReconcileReport>;
  /** One sweep of the file store; see `src/files/sweep.ts`. */
  readonly sweepFiles: () => Promise<SweepReport>;
}

/** The activities of a job's run; the others have a workflow of their own. */
export type JobActivities = Omit<FineTuningActivities, 'reconcileJobs' | 'sweepFiles'>;

export interface ReconcileReport {
  readonly examined: number;
  readonly started: number;
  readonly adopted: number;
  readonly signalled: number;
  /** True where more rows wait than one round takes. */
  readonly more: boolean;
}

export interface SweepReport {
  /** False where the store is not this database's: nothing was looked at. */
  readonly swept: boolean;
  /** Whole contents that were in the store. */
  readonly examined: number;
  /** Of them without a row, and removed. */
  readonly removed: number;
  /** Of them without a row, and still there, because the store refused. */
  readonly failed: number;
  /** Half-written contents that were removed. */
  readonly abandoned: number;
}
