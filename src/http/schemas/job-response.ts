import type { Hyperparameters, JobRequest, TrainingMethod } from '../../domain/job.js';
import { isTerminal } from '../../domain/job-state.js';
import type { Page } from '../../jobs/read-job.js';
import type { JobCheckpointRow } from '../../store/job-checkpoints.js';
import type { JobEventRow } from '../../store/job-events.js';
import type { JobRow } from '../../store/jobs.js';

// OpenAI's objects (openapi.yml of 2026-05-31, read 2026-11-23): `FineTuningJob`, `FineTuningJobEvent`,
// `FineTuningJobCheckpoint` and their lists; times in Unix seconds. Beyond them the job has `gateway` alone.

/** A job as OpenAI shows it, with `gateway` for what only we know. */
export function jobObject(row: JobRow) {
  const { request } = row;
  const open = !isTerminal(row.status);
  return {
    id: row.id,
    object: 'fine_tuning.job' as const,
    created_at: seconds(row.createdAt),
    error: row.error === null ? null : { code: row.error.code, message: row.error.message, param: row.error.param },
    fine_tuned_model: row.fineTunedModel,
    finished_at: secondsOrNull(row.finishedAt),
    // Only supervised jobs fill it; OpenAI's schema does not let it be null.
    hyperparameters: request.method.type === 'supervised' ? supervised(resolved(row)) : {},
    method: methodObject(request.method, resolved(row)),
    model: request.model,
    organization_id: row.workspaceId,
    result_files: row.resultFiles,
    status: row.status,
    trained_tokens: row.trainedTokens,
    training_file: request.trainingFile,
    validation_file: request.validationFile ?? null,
    seed: request.seed,
    estimated_finish: open ? secondsOrNull(row.estimatedFinish) : null,
    integrations: integrationObjects(request),
    metadata: request.metadata ?? null,
    gateway: {
      provider: row.provider,
      virtual_key: row.virtualKeySlug,
      sandbox: row.sandbox,
      provider_job_id: row.providerJobId,
      raw_status: row.rawStatus,
      phase: row.phase,
      progress: progressObject(row),
      cancel_requested: row.cancelRequestedAt !== null,
      provider_unreachable_since: open ? secondsOrNull(row.providerUnreachableSince) : null,
      next_poll_at: open ? secondsOrNull(row.nextPollAt) : null,
      last_error: lastErrorObject(row),
    },
  };
}

export function jobList(page: Page<JobRow>) {
  return { object: 'list' as const, data: page.rows.map(jobObject), has_more: page.hasMore };
}

export function eventObject(row: JobEventRow) {
  return {
    object: 'fine_tuning.job.event' as const,
    id: row.id,
    created_at: seconds(row.createdAt),
    level: row.level,
    message: row.message,
    // Always an object in OpenAI's schema, though some of its own events carry null.
    data: typeof row.data === 'object' && row.data !== null && !Array.isArray(row.data) ? row.data : {},
    type: row.type,
  };
}

export function eventList(page: Page<JobEventRow>) {
  return { object: 'list' as const, data: page.rows.map(eventObject), has_more: page.hasMore };
}

export function checkpointObject(row: JobCheckpointRow) {
  return {
    object: 'fine_tuning.job.checkpoint' as const,
    id: row.id,
    created_at: seconds(row.createdAt),
    fine_tuned_model_checkpoint: row.fineTunedModelCheckpoint,
    fine_tuning_job_id: row.jobId,
    metrics: row.metrics,
    step_number: row.stepNumber,
  };
}

export function checkpointList(page: Page<JobCheckpointRow>) {
  return {
    object: 'list' as const,
    data: page.rows.map(checkpointObject),
    has_more: page.hasMore,
    first_id: page.rows[0]?.id ?? null,
    last_id: page.rows.at(-1)?.id ?? null,
  };
}

/** What was asked for, with what the provider made of it. */
function resolved(row: JobRow): Hyperparameters {
  return { ...row.request.method.hyperparameters, ...row.resolvedHyperparameters };
}

function methodObject(method: TrainingMethod, values: Hyperparameters) {
  switch (method.type) {
    case 'supervised':
      return { type: method.type, supervised: { hyperparameters: supervised(values) } };
    case 'dpo':
      return {
        type: method.type,
        dpo: { hyperparameters: { ...supervised(values), beta: values.beta ?? 'auto' } },
      };
    case 'reinforcement':
      return {
        type: method.type,
        reinforcement: {
          grader: method.grader ?? {},
          hyperparameters: {
            ...supervised(values),
            reasoning_effort: values.reasoningEffort ?? 'default',
            compute_multiplier: values.computeMultiplier ?? 'auto',
            eval_interval: values.evalInterval ?? 'auto',
            eval_samples: values.evalSamples ?? 'auto',
          },
          ...(method.responseFormat === undefined ? {} : { response_format: method.responseFormat }),
        },
      };
  }
}

function supervised(values: Hyperparameters) {
  return {
    batch_size: values.batchSize ?? 'auto',
    learning_rate_multiplier: values.learningRateMultiplier ?? 'auto',
    n_epochs: values.nEpochs ?? 'auto',
  };
}

function integrationObjects(request: JobRequest) {
  return (request.integrations ?? []).map(({ type, wandb }) => ({
    type,
    wandb: {
      project: wandb.project,
      name: wandb.name ?? null,
      entity: wandb.entity ?? null,
      ...(wandb.tags === undefined ? {} : { tags: wandb.tags }),
    },
  }));
}

function progressObject({ progress }: JobRow) {
  if (progress === null) return null;
  return { step: progress.step ?? null, total_steps: progress.totalSteps ?? null, percent: progress.percent ?? null };
}

function lastErrorObject({ lastError }: JobRow) {
  if (lastError === null) return null;
  return {
    code: lastError.code,
    message: lastError.message,
    at: seconds(new Date(lastError.at)),
    provider_request_id: lastError.providerRequestId ?? null,
  };
}

const seconds = (time: Date): number => Math.floor(time.getTime() / 1000);
const secondsOrNull = (time: Date | null): number | null => (time === null ? null : seconds(time));
