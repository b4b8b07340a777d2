// The OpenAI dialect of fine-tuning: replies, and their translation. OpenAI and Azure OpenAI speak it.
import { z } from 'zod';
import type { Hyperparameters, JobError, MethodType, TrainingMethod } from '../../domain/job.js';
import type { JobStatus } from '../../domain/job-state.js';
import type { JsonObject, JsonValue } from '../../domain/json.js';
import type { RemoteCheckpoint, RemoteEvent, RemoteJob } from '../../domain/provider-port.js';

// Replies are read leniently: only what a translation cannot do without is required.
const hyperparameterReply = z.union([z.number(), z.string()]).nullish();
const hyperparametersReply = z.looseObject({
  batch_size: hyperparameterReply,
  learning_rate_multiplier: hyperparameterReply,
  n_epochs: hyperparameterReply,
  beta: hyperparameterReply,
  reasoning_effort: z.string().nullish(),
  compute_multiplier: hyperparameterReply,
  eval_interval: hyperparameterReply,
  eval_samples: hyperparameterReply,
});
type HyperparametersReply = z.infer<typeof hyperparametersReply>;
const methodReply = z.looseObject({ hyperparameters: hyperparametersReply.nullish() }).nullish();

/** A job. `error` is `{}`, three nulls or null on jobs that did not fail: only `status` says whether one failed. */
export const jobReply = z.looseObject({
  id: z.string().min(1),
  status: z.string().nullish(),
  created_at: z.number().nullish(),
  finished_at: z.number().nullish(),
  estimated_finish: z.number().nullish(),
  error: z
    .looseObject({ code: z.string().nullish(), message: z.string().nullish(), param: z.string().nullish() })
    .nullish(),
  fine_tuned_model: z.string().nullish(),
  trained_tokens: z.number().nullish(),
  result_files: z.array(z.string()).nullish(),
  training_file: z.string().nullish(),
  hyperparameters: hyperparametersReply.nullish(),
  method: z
    .looseObject({ type: z.string().nullish(), supervised: methodReply, dpo: methodReply, reinforcement: methodReply })
    .nullish(),
  metadata: z.record(z.string(), z.unknown()).nullish(),
});
export type JobReply = z.infer<typeof jobReply>;

export const eventReply = z.looseObject({
  id: z.string().min(1),
  created_at: z.number(),
  level: z.string().nullish(),
  message: z.string().nullish(),
  type: z.string().nullish(),
  data: z.json().optional(),
});
export type EventReply = z.infer<typeof eventReply>;

export const checkpointReply = z.looseObject({
  id: z.string().min(1),
  created_at: z.number(),
  fine_tuned_model_checkpoint: z.string(),
  step_number: z.number(),
  metrics: z.record(z.string(), z.unknown()).nullish(),
});
export type CheckpointReply = z.infer<typeof checkpointReply>;

export const fileReply = z.looseObject({
  id: z.string().min(1),
  filename: z.string().nullish(),
  bytes: z.number().nullish(),
  created_at: z.number().nullish(),
  status: z.string().nullish(),
});
export type FileReply = z.infer<typeof fileReply>;

/** A list page; older answers have neither `has_more` nor cursors, so the next cursor is the last item's id. */
export function pageReply<Item extends z.ZodType>(item: Item) {
  return z.looseObject({ data: z.array(item), has_more: z.boolean().nullish() });
}

const METHOD_KEYS = {
  batchSize: 'batch_size',
  learningRateMultiplier: 'learning_rate_multiplier',
  nEpochs: 'n_epochs',
  beta: 'beta',
  computeMultiplier: 'compute_multiplier',
  evalInterval: 'eval_interval',
  evalSamples: 'eval_samples',
} as const;
const NUMERIC = [
  'batchSize',
  'learningRateMultiplier',
  'nEpochs',
  'beta',
  'computeMultiplier',
  'evalInterval',
  'evalSamples',
] as const;
const EFFORTS = ['default', 'low', 'medium', 'high'] as const;

/** `method` of a create body. Hyper-parameters that were not given stay absent. */
export function toMethodBody(method: TrainingMethod): JsonObject {
  const hyperparameters: Record<string, JsonValue> = {};
  for (const key of NUMERIC) {
    const value = method.hyperparameters[key];
    if (value !== undefined) hyperparameters[METHOD_KEYS[key]] = value;
  }
  const { reasoningEffort } = method.hyperparameters;
  if (reasoningEffort !== undefined) hyperparameters['reasoning_effort'] = reasoningEffort;
  const details: JsonObject = {
    ...(method.grader === undefined ? {} : { grader: method.grader }),
    ...(method.responseFormat === undefined ? {} : { response_format: method.responseFormat }),
    ...(Object.keys(hyperparameters).length === 0 ? {} : { hyperparameters }),
  };
  return { type: method.type, [method.type]: details };
}

/** A job in our words. `statuses` is the vendor's table; a status outside it gives null. */
export function toRemoteJob(job: JobReply, statuses: Readonly<Record<string, JobStatus>>): RemoteJob {
  const rawStatus = job.status ?? '';
  const status = Object.hasOwn(statuses, rawStatus) ? (statuses[rawStatus] ?? null) : null;
  return {
    id: job.id,
    status,
    rawStatus,
    error: status === 'failed' ? toJobError(job.error) : null,
    fineTunedModel: job.fine_tuned_model ?? null,
    trainedTokens: job.trained_tokens ?? null,
    resultFiles: job.result_files ?? [],
    createdAt: isoTime(job.created_at),
    finishedAt: isoTime(job.finished_at),
    estimatedFinish: isoTime(job.estimated_finish),
    hyperparameters: toHyperparameters(job),
    progress: null,
  };
}

/** An event in our words; levels and types we do not know become `info` and `message`. */
export function toRemoteEvent(event: EventReply): RemoteEvent {
  return {
    id: event.id,
    createdAt: isoTime(event.created_at) ?? new Date(0).toISOString(),
    level: event.level === 'error' ? 'error' : event.level?.startsWith('warn') === true ? 'warn' : 'info',
    type: event.type === 'metrics' ? 'metrics' : 'message',
    message: event.message ?? '',
    data: event.data ?? null,
  };
}

/** A checkpoint in our words, with the metrics that are numbers. */
export function toRemoteCheckpoint(checkpoint: CheckpointReply): RemoteCheckpoint {
  const metrics: Record<string, number> = {};
  for (const [name, value] of Object.entries(checkpoint.metrics ?? {})) {
    if (typeof value === 'number') metrics[name] = value;
  }
  return {
    id: checkpoint.id,
    createdAt: isoTime(checkpoint.created_at) ?? new Date(0).toISOString(),
    fineTunedModelCheckpoint: checkpoint.fine_tuned_model_checkpoint,
    stepNumber: checkpoint.step_number,
    metrics,
  };
}

/** ISO 8601 of Unix seconds; null where there are none, or where they are no time. */
export function isoTime(seconds: number | null | undefined): string | null {
  if (seconds === null || seconds === undefined) return null;
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function toJobError(error: JobReply['error']): JobError | null {
  const code = error?.code ?? '';
  const message = error?.message ?? '';
  if (code === '' && message === '') return null;
  return {
    code: code === '' ? 'provider_job_failed' : code,
    message: message === '' ? `The provider ended the job with the code ${code}.` : message,
    param: error?.param ?? null,
  };
}

function isMethodType(type: string | null | undefined): type is MethodType {
  return type === 'supervised' || type === 'dpo' || type === 'reinforcement';
}

/** Values stand under the method, at the top (supervised), or in both; a resolved number says more than `auto`. */
function toHyperparameters(job: JobReply): Hyperparameters | null {
  const type = job.method?.type;
  const places: HyperparametersReply[] = [];
  if (isMethodType(type)) places.push(job.method?.[type]?.hyperparameters ?? {});
  places.push(job.hyperparameters ?? {});
  const found: { -readonly [Key in keyof Hyperparameters]: Hyperparameters[Key] } = {};
  for (const key of NUMERIC) {
    const values = places.map((place) => place[METHOD_KEYS[key]]);
    const value =
      values.find((candidate) => typeof candidate === 'number') ?? values.find((candidate) => candidate === 'auto');
    if (typeof value === 'number' || value === 'auto') found[key] = value;
  }
  const effort = EFFORTS.find((candidate) => places.some((place) => place.reasoning_effort === candidate));
  if (effort !== undefined) found.reasoningEffort = effort;
  return Object.keys(found).length === 0 ? null : found;
}
