import type { JobPhase, JobStatus } from './job-state.js';
import type { JsonObject, JsonValue } from './json.js';
import type { ProviderName } from './provider-name.js';

export type MethodType = 'supervised' | 'dpo' | 'reinforcement';
export type DatasetRole = 'training' | 'validation';

/** OpenAI's hyper-parameters; which of them a method has is checked at the front door. */
export interface Hyperparameters {
  readonly batchSize?: number | 'auto';
  readonly learningRateMultiplier?: number | 'auto';
  readonly nEpochs?: number | 'auto';
  readonly beta?: number | 'auto';
  readonly reasoningEffort?: 'default' | 'low' | 'medium' | 'high';
  readonly computeMultiplier?: number | 'auto';
  readonly evalInterval?: number | 'auto';
  readonly evalSamples?: number | 'auto';
}

export interface TrainingMethod {
  readonly type: MethodType;
  readonly hyperparameters: Hyperparameters;
  /** Reinforcement only: OpenAI's grader, as it came. */
  readonly grader?: JsonValue;
  /** Reinforcement only: an undocumented JSON schema that OpenAI and Azure take. */
  readonly responseFormat?: JsonValue;
}

export interface WandbIntegration {
  readonly type: 'wandb';
  readonly wandb: {
    readonly project: string;
    readonly name?: string;
    readonly entity?: string;
    readonly tags?: readonly string[];
  };
}

/** A create request after validation: all that the workflow and the adapters need, and nothing secret. */
export interface JobRequest {
  /** What the caller called the model. */
  readonly model: string;
  /** What the provider is asked to tune, where that differs (`provider_options.model`). */
  readonly providerModel?: string;
  readonly trainingFile: string;
  readonly validationFile?: string;
  readonly suffix?: string;
  /** Chosen by us where the caller gave none, so that every job says which seed it had. */
  readonly seed: number;
  /** True where the caller chose the seed: only then must a provider be able to take it. */
  readonly seedGiven?: boolean;
  readonly method: TrainingMethod;
  readonly integrations?: readonly WandbIntegration[];
  readonly metadata?: Readonly<Record<string, string>>;
  /** The provider's own parameters, checked by its schema. */
  readonly providerOptions?: JsonObject;
}

/** Why a job failed, in OpenAI's three fields. */
export interface JobError {
  readonly code: string;
  readonly message: string;
  readonly param: string | null;
}

/** The workflow's state: what the `status` query answers and what is written to the row as a whole. */
export interface JobState {
  readonly status: JobStatus;
  readonly phase: JobPhase;
  readonly error: JobError | null;
  readonly fineTunedModel: string | null;
  readonly trainedTokens: number | null;
  /** Ids of our files. */
  readonly resultFiles: readonly string[];
  /** ISO 8601. */
  readonly finishedAt: string | null;
}

/** Which write of the state is newer: the run, and the workflow's own count within it. */
export interface StateVersion {
  readonly runId: string;
  readonly sequence: number;
}

/** The answer of the `status` query. */
export interface JobView extends JobState {
  readonly jobId: string;
  readonly version: StateVersion;
  readonly provider: ProviderName;
  readonly providerJobId: string | null;
  readonly cancelRequested: boolean;
}

export interface JobProgress {
  readonly step?: number;
  readonly totalSteps?: number;
  readonly percent?: number;
}

/** What was last seen at the provider; kept in the row alone, outside Temporal's history. */
export interface JobObservation {
  readonly rawStatus: string | null;
  readonly progress: JobProgress | null;
  /** Hyper-parameters as the provider resolved them. */
  readonly hyperparameters: Hyperparameters | null;
  /** ISO 8601, as the next three. */
  readonly estimatedFinish: string | null;
  readonly nextPollAt: string | null;
  readonly providerUnreachableSince: string | null;
  readonly lastError: LastError | null;
}

export interface LastError {
  readonly code: string;
  readonly message: string;
  /** ISO 8601. */
  readonly at: string;
  readonly providerRequestId?: string;
}

/** Ids, at the provider, of the files uploaded for a job. */
export type RemoteFiles = Readonly<Partial<Record<DatasetRole, string>>>;

/** The state every job starts in. */
export function acceptedState(): JobState {
  return {
    status: 'validating_files',
    phase: 'accepted',
    error: null,
    fineTunedModel: null,
    trainedTokens: null,
    resultFiles: [],
    finishedAt: null,
  };
}
