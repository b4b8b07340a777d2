import type { z } from 'zod';
import type {
  DatasetRole,
  Hyperparameters,
  JobError,
  JobProgress,
  JobRequest,
  MethodType,
  RemoteFiles,
} from './job.js';
import type { JobStatus } from './job-state.js';
import type { JsonObject, JsonValue } from './json.js';
import type { ProviderName } from './provider-name.js';

/** What one vendor can do, as data: read by validation, by the docs' tables and by the contract suite. */
export interface ProviderCapabilities {
  readonly methods: readonly MethodType[];
  readonly hyperparameters: Readonly<Record<keyof Hyperparameters, 'native' | 'translated' | 'unsupported'>>;
  readonly pause: boolean;
  readonly seed: boolean;
  readonly integrations: boolean;
  readonly validationFile: boolean;
  /** Events and checkpoints: the vendor's own, or made by us from what it does tell. */
  readonly events: 'native' | 'synthesized';
  readonly checkpoints: 'native' | 'synthesized' | 'none';
  /** How long after a create the vendor's list may not show the job. */
  readonly listDelayMs: number;
  readonly suffixMaxLength: number;
  readonly minimumRows: number;
}

/** One entry of the registry: everything known about a vendor before any credentials. */
export interface ProviderDefinition {
  readonly name: ProviderName;
  readonly capabilities: ProviderCapabilities;
  /** Credentials and default options of a virtual key, strict, in Portkey's admin spelling or our readable one. */
  readonly settings: z.ZodType<JsonObject>;
  /** Which of the settings say where calls go: a job that overrides one must bring its own credentials. */
  readonly endpointSettings: readonly string[];
  /** Which of the settings are credentials: sealed, and never shown. */
  readonly secretSettings: readonly string[];
  /** Option headers of `portkey_options`, lower case, and the setting each one overrides. */
  readonly optionHeaders: Readonly<Record<string, string>>;
  /** Strict schema of `provider_options` and of non-OpenAI top-level keys. */
  readonly jobOptions: z.ZodType<JsonObject>;
  /** True where the id's shape alone says that this vendor tunes it; null where only a look-up can tell. */
  recognisesModel(model: string): boolean | null;
  /** Refuses, before any call, what the vendor cannot express. Throws GatewayError `unsupported_parameter`, naming it. */
  checkRequest(request: JobRequest): void;
  /** The vendor with one set of settings, already checked by `settings`. Makes no call. */
  connect(settings: JsonObject): FineTuningProvider;
}

/** What identifies a job of ours at the vendor. */
export interface JobMarker {
  readonly jobId: string;
  readonly files: RemoteFiles;
}

export interface UploadInput {
  readonly jobId: string;
  readonly role: DatasetRole;
  /**
   * OpenAI's JSONL rows as the user gave them, from the first byte on; the adapter converts while streaming. It ends with an
   * error where the stored content is damaged: nothing is complete at the vendor before it has ended well.
   */
  readonly content: AsyncIterable<Uint8Array>;
  readonly sizeBytes: number;
  /** When the job was accepted, ISO 8601: what an earlier attempt uploaded is not older. */
  readonly since: string;
  /** What an earlier attempt saved last. */
  readonly resumeFrom: JsonValue | undefined;
  /**
   * Saves durably how far the upload has come, for `resumeFrom` of a later attempt and for `discardUpload`: before the vendor
   * holds something half-done that only we know of, and after each part. `null` once nothing half-done is left there.
   */
  saveProgress(progress: JsonValue): Promise<void>;
  /** Says that bytes move. */
  heartbeat(): void;
}

export interface RemoteFile {
  readonly id: string;
}

export interface JobSubmission {
  readonly jobId: string;
  readonly request: JobRequest;
  readonly files: RemoteFiles;
}

/** A job as the vendor reports it. `status` null: a state we do not know, which is never terminal. */
export interface RemoteJob {
  readonly id: string;
  readonly status: JobStatus | null;
  readonly rawStatus: string;
  readonly error: JobError | null;
  readonly fineTunedModel: string | null;
  readonly trainedTokens: number | null;
  /** The vendor's references, for `openResult`. */
  readonly resultFiles: readonly string[];
  /** ISO 8601, as the next two. */
  readonly createdAt: string | null;
  readonly finishedAt: string | null;
  readonly estimatedFinish: string | null;
  readonly hyperparameters: Hyperparameters | null;
  readonly progress: JobProgress | null;
}

export interface RemoteEvent {
  /** The vendor's id, unique within the job. */
  readonly id: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly level: 'info' | 'warn' | 'error';
  readonly type: 'message' | 'metrics';
  readonly message: string;
  readonly data: JsonValue;
}

export interface RemoteCheckpoint {
  readonly id: string;
  /** ISO 8601. */
  readonly createdAt: string;
  readonly fineTunedModelCheckpoint: string;
  readonly stepNumber: number;
  /** OpenAI's metric names, those that the vendor gives. */
  readonly metrics: Readonly<Record<string, number>>;
}

/**
 * What a vendor says of a model. `unlisted`: no list of this account names it, which for some models means little;
 * `not_tunable`: it is named, and said not to be for tuning; `unknown`: the vendor does not tell.
 */
export type Tunability = 'tunable' | 'not_tunable' | 'unlisted' | 'unknown';

export interface ResultFile {
  readonly fileName: string;
  readonly content: AsyncIterable<Uint8Array>;
}

/**
 * One vendor with one set of credentials. No method retries: Temporal does. Every failure is a GatewayError
 * with a code of the table, `retryable`, and `retryAfterMs` where the vendor asked for it; every answer is JSON-safe.
 */
export interface FineTuningProvider {
  readonly name: ProviderName;
  /** A read-only look-up: what this account can do with the model. */
  canTune(model: string, signal: AbortSignal): Promise<Tunability>;
  /** Finds what an earlier attempt uploaded for this job and role, or uploads it. */
  uploadDataset(input: UploadInput, signal: AbortSignal): Promise<RemoteFile>;
  /** Gives up a half-done upload, from what `saveProgress` was told last. No error where nothing is left of it. */
  discardUpload(progress: JsonValue, signal: AbortSignal): Promise<void>;
  /** What was uploaded for a job since then (ISO 8601), also by an attempt whose answer was lost. */
  findDatasets(jobId: string, since: string, signal: AbortSignal): Promise<readonly RemoteFile[]>;
  deleteFile(fileId: string, signal: AbortSignal): Promise<void>;
  /** Jobs that carry the marker, oldest first. */
  findJobs(marker: JobMarker, signal: AbortSignal): Promise<readonly RemoteJob[]>;
  /** One POST, sent once. An ambiguous outcome is a retryable error. */
  createJob(submission: JobSubmission, signal: AbortSignal): Promise<RemoteJob>;
  getJob(jobId: string, signal: AbortSignal): Promise<RemoteJob>;
  /** `provider_wrong_state` where the job is finished already. */
  cancelJob(jobId: string, signal: AbortSignal): Promise<RemoteJob>;
  /** `unsupported_operation`, with no call, where the vendor has none. */
  pauseJob(jobId: string, signal: AbortSignal): Promise<RemoteJob>;
  resumeJob(jobId: string, signal: AbortSignal): Promise<RemoteJob>;
  /** Events after the one with this id (all where null), oldest first. */
  listEvents(jobId: string, afterId: string | null, signal: AbortSignal): Promise<readonly RemoteEvent[]>;
  /** All checkpoints, oldest first. */
  listCheckpoints(jobId: string, signal: AbortSignal): Promise<readonly RemoteCheckpoint[]>;
  /** A result file as plain CSV in OpenAI's columns. */
  openResult(reference: string, signal: AbortSignal): Promise<ResultFile>;
}

/** The registry as the rest sees it: injected, so that nobody imports a vendor. */
export interface Providers {
  get(name: ProviderName): ProviderDefinition;
  /** Those this build knows. */
  readonly names: readonly ProviderName[];
}
