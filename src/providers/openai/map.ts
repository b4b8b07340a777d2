import { GatewayError } from '../../domain/errors.js';
import type { JobRequest } from '../../domain/job.js';
import type { JobStatus } from '../../domain/job-state.js';
import type { JsonObject } from '../../domain/json.js';
import type {
  Tunability,
  JobMarker,
  JobSubmission,
  ProviderCapabilities,
  RemoteJob,
} from '../../domain/provider-port.js';
import { toMethodBody, toRemoteJob } from '../shared/openai-fine-tuning.js';
import type { JobReply, ModelReply } from './wire.js';

/** The metadata key that says whose job it is. */
export const MARKER_KEY = 'gateway_job_id';
const MAX_METADATA_PAIRS = 16;
const SUFFIX_MAX_LENGTH = 64;

/** @see https://developers.openai.com/api/reference/resources/fine_tuning (read 2026-11-23); no list delay is documented. */
export const openaiCapabilities: ProviderCapabilities = {
  methods: ['supervised', 'dpo', 'reinforcement'],
  hyperparameters: {
    batchSize: 'native',
    learningRateMultiplier: 'native',
    nEpochs: 'native',
    beta: 'native',
    reasoningEffort: 'native',
    computeMultiplier: 'native',
    evalInterval: 'native',
    evalSamples: 'native',
  },
  pause: true,
  seed: true,
  integrations: true,
  validationFile: true,
  events: 'native',
  checkpoints: 'native',
  listDelayMs: 10_000,
  suffixMaxLength: SUFFIX_MAX_LENGTH,
  minimumRows: 10,
};

/** OpenAI's own statuses; `paused` is missing from its published enumeration though pause answers it. */
const STATUSES: Readonly<Record<string, JobStatus>> = {
  validating_files: 'validating_files',
  queued: 'queued',
  running: 'running',
  paused: 'paused',
  succeeded: 'succeeded',
  failed: 'failed',
  cancelled: 'cancelled',
};

/**
 * True for OpenAI's fine-tuned ids (`ft:…`); false for ids of a form OpenAI does not have (paths, ARNs, and
 * `vendor.model` as at Bedrock); null for all others, because Azure has models of the same names.
 */
export function recognisesModel(model: string): boolean | null {
  if (model.startsWith('ft:')) return true;
  if (model.includes('/') || model.startsWith('arn:') || /^[a-z][a-z0-9-]*\.[a-z]/.test(model)) return false;
  return null;
}

/** Refuses a suffix that OpenAI would. Hyper-parameter bounds are the same for every provider, and checked before. */
export function checkRequest(request: JobRequest): void {
  if (request.suffix !== undefined && request.suffix.length > SUFFIX_MAX_LENGTH) {
    throw new GatewayError(
      'unsupported_parameter',
      `suffix has ${request.suffix.length} characters; OpenAI takes at most ${SUFFIX_MAX_LENGTH}.`,
      { param: 'suffix', provider: 'openai' },
    );
  }
}

/**
 * What a model's entry says of tuning: false once it is shut down, true for a fine-tuned one (tuning goes on from it),
 * null otherwise, because the list holds models that cannot be tuned and does not tell which.
 */
export function tunability(model: ModelReply, now: Date): Tunability {
  const shutdown = model.shutdown_date;
  if (typeof shutdown === 'string' && shutdown <= now.toISOString().slice(0, 10)) return 'not_tunable';
  return model.id.startsWith('ft:') ? 'tunable' : 'unknown';
}

/** The body of a create: the marker goes into `metadata` where it still fits beside the user's pairs. */
export function toCreateBody(submission: JobSubmission): JsonObject {
  const { request, files, jobId } = submission;
  const { training, validation } = files;
  if (training === undefined) throw new Error('A job cannot be submitted before its training file is uploaded.');
  const marked = { ...request.metadata, [MARKER_KEY]: jobId };
  const metadata = Object.keys(marked).length <= MAX_METADATA_PAIRS ? marked : (request.metadata ?? {});
  return {
    model: request.providerModel ?? request.model,
    training_file: training,
    ...(validation === undefined ? {} : { validation_file: validation }),
    ...(request.suffix === undefined ? {} : { suffix: request.suffix }),
    seed: request.seed,
    method: toMethodBody(request.method),
    ...(request.integrations === undefined ? {} : { integrations: request.integrations.map(toIntegration) }),
    metadata,
  };
}

/** True for a job whose metadata names ours. The filter of the list is not taken at its word. */
export function carriesMarker(job: JobReply, marker: JobMarker): boolean {
  return job.metadata?.[MARKER_KEY] === marker.jobId;
}

/**
 * True for a job that had no room for the marker and trains on the file uploaded for ours. Asking for the full
 * metadata keeps apart other jobs on the same file, where the file is the caller's own.
 */
export function trainsOnMarkedFile(job: JobReply, marker: JobMarker): boolean {
  const metadata = job.metadata ?? {};
  return (
    marker.files.training !== undefined &&
    job.training_file === marker.files.training &&
    !(MARKER_KEY in metadata) &&
    Object.keys(metadata).length >= MAX_METADATA_PAIRS
  );
}

/** A job of OpenAI's in our words. */
export function toJob(job: JobReply): RemoteJob {
  return toRemoteJob(job, STATUSES);
}

function toIntegration(integration: NonNullable<JobRequest['integrations']>[number]): JsonObject {
  const { project, name, entity, tags } = integration.wandb;
  return {
    type: 'wandb',
    wandb: {
      project,
      ...(name === undefined ? {} : { name }),
      ...(entity === undefined ? {} : { entity }),
      ...(tags === undefined ? {} : { tags }),
    },
  };
}
