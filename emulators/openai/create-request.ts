import { z } from 'zod';
import type { BodySchema } from './schema-check.js';

// CreateFineTuningJobRequest and what it refers to, from OpenAI's OpenAPI file (see SOURCES.md).
const auto: BodySchema = { type: 'string', enum: ['auto'] };
const numberOrAuto = (bounds: BodySchema): BodySchema => ({ anyOf: [auto, bounds] });

const commonHyperparameters: Record<string, BodySchema> = {
  batch_size: numberOrAuto({ type: 'integer', minimum: 1, maximum: 256 }),
  learning_rate_multiplier: numberOrAuto({ type: 'number', exclusiveMinimum: 0 }),
  n_epochs: numberOrAuto({ type: 'integer', minimum: 1, maximum: 50 }),
};

const hyperparameters = (own: Record<string, BodySchema> = {}): BodySchema => ({
  type: 'object',
  properties: { ...commonHyperparameters, ...own },
  additionalProperties: false,
});

const grader: BodySchema = {
  type: 'object',
  required: ['type'],
  properties: { type: { type: 'string', enum: ['string_check', 'text_similarity', 'python', 'score_model', 'multi'] } },
};

const method: BodySchema = {
  type: 'object',
  required: ['type'],
  additionalProperties: false,
  properties: {
    type: { type: 'string', enum: ['supervised', 'dpo', 'reinforcement'] },
    supervised: { type: 'object', properties: { hyperparameters: hyperparameters() }, additionalProperties: false },
    dpo: {
      type: 'object',
      properties: {
        hyperparameters: hyperparameters({ beta: numberOrAuto({ type: 'number', exclusiveMinimum: 0, maximum: 2 }) }),
      },
      additionalProperties: false,
    },
    reinforcement: {
      type: 'object',
      required: ['grader'],
      properties: {
        grader,
        response_format: { type: 'object' },
        hyperparameters: hyperparameters({
          reasoning_effort: { type: 'string', enum: ['default', 'low', 'medium', 'high'] },
          compute_multiplier: numberOrAuto({ type: 'number', exclusiveMinimum: 0.00001, maximum: 10 }),
          eval_interval: numberOrAuto({ type: 'integer', minimum: 1 }),
          eval_samples: numberOrAuto({ type: 'integer', minimum: 1 }),
        }),
      },
      additionalProperties: false,
    },
  },
};

const integration: BodySchema = {
  type: 'object',
  required: ['type', 'wandb'],
  additionalProperties: false,
  properties: {
    type: { type: 'string', enum: ['wandb'] },
    wandb: {
      type: 'object',
      required: ['project'],
      additionalProperties: false,
      properties: {
        project: { type: 'string' },
        name: { type: 'string', nullable: true },
        entity: { type: 'string', nullable: true },
        tags: { type: 'array', items: { type: 'string' } },
      },
    },
  },
};

export const createJobSchema: BodySchema = {
  type: 'object',
  required: ['model', 'training_file'],
  additionalProperties: false,
  properties: {
    model: { type: 'string', minLength: 1 },
    training_file: { type: 'string', minLength: 1 },
    validation_file: { type: 'string', nullable: true },
    suffix: { type: 'string', minLength: 1, maxLength: 64, nullable: true },
    seed: { type: 'integer', minimum: 0, maximum: 2_147_483_647, nullable: true },
    hyperparameters: hyperparameters(),
    method,
    integrations: { type: 'array', items: integration, maxItems: 5, nullable: true },
    metadata: {
      type: 'object',
      maxProperties: 16,
      maxKeyLength: 64,
      additionalProperties: { type: 'string', maxLength: 512 },
      nullable: true,
    },
  },
};

const hyperparameterValue = z.union([z.number(), z.string()]);
const methodType = z.enum(['supervised', 'dpo', 'reinforcement']);
const methodSettings = z.looseObject({ hyperparameters: z.record(z.string(), hyperparameterValue).optional() });

/** The create body once it passed `createJobSchema`. */
export const createJobBody = z.object({
  model: z.string(),
  training_file: z.string(),
  validation_file: z.string().nullish(),
  suffix: z.string().nullish(),
  seed: z.number().nullish(),
  hyperparameters: z.record(z.string(), hyperparameterValue).optional(),
  method: z
    .object({
      type: methodType,
      supervised: methodSettings.optional(),
      dpo: methodSettings.optional(),
      reinforcement: methodSettings.optional(),
    })
    .optional(),
  integrations: z.array(z.unknown()).nullish(),
  metadata: z.record(z.string(), z.string()).nullish(),
});

export type CreateJobBody = z.infer<typeof createJobBody>;
export type MethodType = z.infer<typeof methodType>;
