import { derivedId } from '../core/random.js';
import { isTerminal, statusOf, type JobRecord } from './job-record.js';
import {
  epochEnds,
  methodOf,
  requestedHyperparameters,
  resolvedHyperparameters,
  stepMetrics,
  trainingPlan,
} from './training-curve.js';

const seconds = (milliseconds: number) => Math.floor(milliseconds / 1000);

/** The model a job ends with, or, with a step, that of an earlier checkpoint: another id and `:ckpt-step-N`. */
export function tunedModel(job: JobRecord, checkpointStep?: number): string {
  const prefix = `ft:${baseOf(job.model)}:personal:${job.body.suffix ?? ''}`;
  if (checkpointStep === undefined) return `${prefix}:${derivedId(`${job.id}:model`, 8)}`;
  const step = String(checkpointStep);
  return `${prefix}:${derivedId(`${job.id}:checkpoint:${step}`, 8)}:ckpt-step-${step}`;
}

// The name of a model tuned further starts from the base again.
function baseOf(model: string): string {
  return model.startsWith('ft:') ? (model.split(':')[1] ?? model) : model;
}

export function resultFileId(job: JobRecord): string {
  return `file-${derivedId(`${job.id}:result`, 22)}`;
}

/** The `fine_tuning.job` object. `showResults` is false while results lag behind. */
export function jobObject(job: JobRecord, showResults: boolean): unknown {
  const { body } = job;
  const succeeded = job.word === 'succeeded';
  const started = job.segments.length > 0 || succeeded;
  const hyperparameters = started ? resolvedHyperparameters(job) : requestedHyperparameters(job);
  const method = methodOf(job);
  return {
    object: 'fine_tuning.job',
    id: job.id,
    model: job.model,
    created_at: seconds(job.createdMs),
    finished_at: job.endedMs !== null && isTerminal(statusOf(job)) ? seconds(job.endedMs) : null,
    fine_tuned_model: succeeded ? tunedModel(job) : null,
    organization_id: job.organizationId,
    result_files: succeeded && showResults ? [resultFileId(job)] : [],
    status: statusOf(job),
    validation_file: body.validation_file ?? null,
    training_file: body.training_file,
    hyperparameters: method === 'supervised' ? hyperparameters : null,
    trained_tokens: succeeded ? job.tokens * trainingPlan(job).epochs : null,
    // Recorded: an empty object on open jobs, three nulls on those that succeeded.
    error: job.error ?? (succeeded ? { code: null, message: null, param: null } : {}),
    user_provided_suffix: body.suffix ?? null,
    seed: job.seed,
    estimated_finish: null,
    integrations: body.integrations ?? [],
    metadata: body.metadata ?? null,
    usage_metrics: null,
    shared_with_openai: false,
    method: { type: method, [method]: { ...body.method?.[method], hyperparameters } },
  };
}

export interface CheckpointObject {
  id: string;
  [field: string]: unknown;
}

/** The checkpoints of a job, newest first: one an epoch, listed once the job has succeeded. */
export function checkpointObjects(job: JobRecord, reachedAtMs: (step: number) => number | null): CheckpointObject[] {
  if (job.word !== 'succeeded') return [];
  const plan = trainingPlan(job);
  return epochEnds(plan)
    .map((step) => {
      const metrics = stepMetrics(job, plan, step);
      return {
        object: 'fine_tuning.job.checkpoint',
        id: `ftckpt_${derivedId(`${job.id}:ftckpt:${String(step)}`, 24)}`,
        created_at: seconds(reachedAtMs(step) ?? job.endedMs ?? job.createdMs),
        fine_tuned_model_checkpoint: tunedModel(job, step === plan.totalSteps ? undefined : step),
        fine_tuning_job_id: job.id,
        step_number: step,
        metrics,
      };
    })
    .reverse();
}
