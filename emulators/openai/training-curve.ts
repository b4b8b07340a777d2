import { noise } from '../core/random.js';
import type { MethodType } from './create-request.js';
import type { JobRecord } from './job-record.js';

export type Hyperparameters = Record<string, number | string>;

const AUTO_NAMES: Readonly<Record<MethodType, readonly string[]>> = {
  supervised: ['batch_size', 'learning_rate_multiplier', 'n_epochs'],
  dpo: ['beta', 'batch_size', 'learning_rate_multiplier', 'n_epochs'],
  reinforcement: [
    'batch_size',
    'learning_rate_multiplier',
    'n_epochs',
    'compute_multiplier',
    'eval_interval',
    'eval_samples',
  ],
};

// With `auto`, small data trains in at most this many steps.
const AUTO_STEPS = 100;
// One event a step; more than this would only cost memory here.
const MAX_STEPS = 5000;

export function methodOf(job: JobRecord): MethodType {
  return job.body.method?.type ?? 'supervised';
}

/** What the caller asked for, `auto` where nothing was said. */
export function requestedHyperparameters(job: JobRecord): Hyperparameters {
  const method = methodOf(job);
  const asked =
    job.body.method?.[method]?.hyperparameters ?? (method === 'supervised' ? job.body.hyperparameters : undefined);
  const all: Hyperparameters = {};
  for (const name of AUTO_NAMES[method]) all[name] = 'auto';
  if (method === 'reinforcement') all['reasoning_effort'] = 'default';
  return { ...all, ...asked };
}

/** The numbers that a running job shows in place of `auto`. */
export function resolvedHyperparameters(job: JobRecord): Hyperparameters {
  const requested = requestedHyperparameters(job);
  const numberOf = (name: string, fallback: number) => {
    const value = requested[name];
    return typeof value === 'number' ? value : fallback;
  };
  const epochs = numberOf('n_epochs', 3);
  const defaults: Record<string, number> = {
    n_epochs: epochs,
    batch_size: Math.min(256, Math.max(1, Math.ceil((job.rows * epochs) / AUTO_STEPS))),
    learning_rate_multiplier: methodOf(job) === 'supervised' ? 1.8 : 1,
    beta: 0.1,
    compute_multiplier: 1,
    eval_interval: 5,
    eval_samples: 1,
  };
  return Object.fromEntries(
    Object.entries(requested).map(([name, value]) => [name, value === 'auto' ? (defaults[name] ?? value) : value]),
  );
}

export interface TrainingPlan {
  totalSteps: number;
  epochs: number;
}

export function trainingPlan(job: JobRecord): TrainingPlan {
  const { n_epochs: epochs, batch_size: batchSize } = resolvedHyperparameters(job);
  const steps = Math.ceil((job.rows * Number(epochs)) / Number(batchSize));
  return { totalSteps: Math.min(MAX_STEPS, Math.max(1, steps)), epochs: Number(epochs) };
}

/** The last step of each epoch, in order; fewer than epochs when there are not as many steps. */
export function epochEnds({ totalSteps, epochs }: TrainingPlan): number[] {
  const ends = Array.from({ length: epochs }, (_, index) => Math.round((totalSteps * (index + 1)) / epochs));
  return [...new Set(ends)].filter((step) => step > 0);
}

const round = (value: number) => Math.round(value * 100_000) / 100_000;

export interface StepMetrics {
  step: number;
  train_loss: number;
  train_mean_token_accuracy: number;
  valid_loss?: number;
  valid_mean_token_accuracy?: number;
  full_valid_loss?: number;
  full_valid_mean_token_accuracy?: number;
}

/** A loss that falls with the step, with a little noise that is the same at every look. */
export function stepMetrics(job: JobRecord, plan: TrainingPlan, step: number): StepMetrics {
  const progress = step / plan.totalSteps;
  const trainLoss = 0.3 + 2.1 * Math.exp(-4 * progress) + 0.03 * noise(job.seed, step);
  const accuracy = (loss: number) => round(Math.min(0.99, Math.max(0, 1 - loss / 3)));
  const metrics: StepMetrics = {
    step,
    train_loss: round(trainLoss),
    train_mean_token_accuracy: accuracy(trainLoss),
  };
  if (!job.body.validation_file) return metrics;
  const endsEpoch = epochEnds(plan).includes(step);
  if (!endsEpoch && step % Math.max(1, Math.floor(plan.totalSteps / 10)) !== 0) return metrics;
  const validLoss = trainLoss + 0.08 + 0.03 * noise(job.seed + 1, step);
  metrics.valid_loss = round(validLoss);
  metrics.valid_mean_token_accuracy = accuracy(validLoss);
  if (endsEpoch) {
    metrics.full_valid_loss = round(trainLoss + 0.1);
    metrics.full_valid_mean_token_accuracy = accuracy(trainLoss + 0.1);
  }
  return metrics;
}

/** The CSV of the result file `step_metrics.csv`. */
export function* stepMetricsCsv(job: JobRecord): Generator<string> {
  yield 'step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy\n';
  const plan = trainingPlan(job);
  for (let step = 1; step <= plan.totalSteps; step += 1) {
    const metrics = stepMetrics(job, plan, step);
    const cells = [
      metrics.train_loss,
      metrics.train_mean_token_accuracy,
      metrics.valid_loss,
      metrics.valid_mean_token_accuracy,
    ];
    yield `${[step, ...cells].map((cell) => cell ?? '').join(',')}\n`;
  }
}
