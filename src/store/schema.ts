import type { ColumnType, Generated, JSONColumnType } from 'kysely';
import type {
  DatasetRole,
  Hyperparameters,
  JobError,
  JobProgress,
  JobRequest,
  LastError,
  RemoteFiles,
} from '../domain/job.js';
import type { JobPhase, JobStatus } from '../domain/job-state.js';
import type { JsonObject, JsonValue } from '../domain/json.js';
import type { ProviderName } from '../domain/provider-name.js';

// Column names are snake_case in PostgreSQL; the CamelCase plugin of Kysely translates.

/** A time the database sets; written only where a caller must. */
type Now = ColumnType<Date, Date | undefined, Date>;
type Json<T extends object | null> = JSONColumnType<NonNullable<T>> | null;

export interface WorkspacesTable {
  id: string;
  name: string;
  createdAt: Now;
}

export interface ApiKeysTable {
  id: string;
  workspaceId: string;
  name: string;
  /** SHA-256 of the key; the key itself is kept nowhere. */
  keyHash: Buffer;
  createdAt: Now;
  revokedAt: Date | null;
}

export interface VirtualKeysTable {
  id: string;
  workspaceId: string;
  slug: string;
  name: string;
  provider: ProviderName;
  note: string | null;
  /** Points at the emulators; made by an embedded start. */
  sandbox: Generated<boolean>;
  isDefault: Generated<boolean>;
  /** Settings that are no secret. */
  settings: JSONColumnType<JsonObject>;
  /** Settings that are, under the master key, bound to this row and workspace. */
  sealedSettings: Buffer;
  createdAt: Now;
  updatedAt: Now;
  /** Gone for callers and for new jobs, and kept for the jobs that still need it. */
  deletedAt: Date | null;
}

export interface FilesTable {
  id: string;
  workspaceId: string;
  filename: string;
  purpose: string;
  sizeBytes: number;
  sha256: string;
  createdAt: Now;
  expiresAt: Date | null;
  /** Where the content is the parts of an upload; else it lies under the file's own id. */
  uploadId: string | null;
}

export type UploadStatus = 'pending' | 'completed' | 'cancelled' | 'expired';

export interface UploadsTable {
  id: string;
  workspaceId: string;
  filename: string;
  purpose: string;
  mimeType: string;
  /** What the parts must have together. */
  sizeBytes: number;
  /** How long the file will live, from its making on. */
  expiresAfterSeconds: number | null;
  status: Generated<UploadStatus>;
  createdAt: Now;
  /** When the upload ends by itself. */
  expiresAt: Date;
  /** Of a completed upload; the file may have been deleted since. */
  fileId: string | null;
  /** Hex; of a completed upload, where the caller stated it. */
  md5: string | null;
}

export interface UploadPartsTable {
  /** Also the id of the content in the file store. */
  id: string;
  uploadId: string;
  sizeBytes: number;
  sha256: string;
  /** Place in the file, from 0; null while the upload is not complete. */
  position: number | null;
  createdAt: Now;
}

/** An upload to the provider that an attempt has begun. */
export interface HalfDoneUpload {
  /** Of the attempt that may write it. */
  readonly claim: string;
  /** What the provider's adapter needs to go on with it, or to give it up; null where the provider has nothing half. */
  readonly saved: JsonValue;
}

export interface JobsTable {
  id: string;
  workspaceId: string;
  apiKeyId: string;
  createdAt: Now;
  updatedAt: Now;
  provider: ProviderName;
  virtualKeyId: string;
  virtualKeySlug: string;
  sandbox: boolean;
  request: JSONColumnType<JobRequest, string, never>;
  requestHash: string;
  idempotencyKey: string | null;
  /** Credentials given in `portkey_options`, sealed and bound to this row. */
  sealedOptions: Buffer | null;
  trainingFile: string;
  validationFile: string | null;

  // The workflow's state, written as the workflow says.
  status: JobStatus;
  phase: JobPhase;
  error: Json<JobError>;
  fineTunedModel: string | null;
  trainedTokens: number | null;
  resultFiles: JSONColumnType<string[]>;
  finishedAt: Date | null;
  stateRunId: string | null;
  stateSequence: Generated<number>;
  replacedRunIds: Generated<string[]>;

  // The gateway's and the reconciler's.
  workflowStartedAt: Date | null;
  cancelRequestedAt: Date | null;

  // Submit's and upload's.
  uploadAttemptedAt: Date | null;
  submitAttemptedAt: Date | null;
  providerJobId: string | null;
  submittedAt: Date | null;
  remoteFiles: JSONColumnType<RemoteFiles>;
  uploadProgress: ColumnType<Readonly<Partial<Record<DatasetRole, HalfDoneUpload>>>, string | undefined, string>;

  // Observations at the provider.
  rawStatus: string | null;
  progress: Json<JobProgress>;
  resolvedHyperparameters: Json<Hyperparameters>;
  estimatedFinish: Date | null;
  nextPollAt: Date | null;
  providerUnreachableSince: Date | null;
  lastError: Json<LastError>;

  nextEventSequence: Generated<number>;
}

export interface JobEventsTable {
  id: string;
  jobId: string;
  /** Gap-free within the job; the order of the list. */
  sequence: number;
  /** `gateway:<what>` or `provider:<the vendor's event id>`; unique within the job. */
  sourceId: string;
  createdAt: Date;
  level: 'info' | 'warn' | 'error';
  type: 'message' | 'metrics';
  message: string;
  data: ColumnType<JsonValue, string, never>;
}

export interface JobCheckpointsTable {
  id: string;
  jobId: string;
  sourceId: string;
  createdAt: Date;
  stepNumber: number;
  fineTunedModelCheckpoint: string;
  metrics: JSONColumnType<Record<string, number>, string, never>;
}

/** Facts about this installation, such as the Temporal namespace it was started with. */
export interface InstallationTable {
  key: string;
  value: string;
}

export interface Tables {
  workspaces: WorkspacesTable;
  apiKeys: ApiKeysTable;
  virtualKeys: VirtualKeysTable;
  files: FilesTable;
  uploads: UploadsTable;
  uploadParts: UploadPartsTable;
  jobs: JobsTable;
  jobEvents: JobEventsTable;
  jobCheckpoints: JobCheckpointsTable;
  installation: InstallationTable;
}
