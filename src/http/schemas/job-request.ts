import { z } from 'zod';
import { GatewayError } from '../../domain/errors.js';
import type { Hyperparameters, TrainingMethod, WandbIntegration } from '../../domain/job.js';
import type { JsonObject, JsonValue } from '../../domain/json.js';
import type { CreateJobRequest } from '../../jobs/create-job.js';
import { parseInput } from '../../domain/parse-input.js';

// The body of `POST /v1/fine_tuning/jobs`: OpenAI's `CreateFineTuningJobRequest` (openapi.yml of 2026-05-31, read
// 2026-11-23), strict, plus Portkey's `portkey_options` and `provider_options`. Keys beside these are options of the provider.

/** As Python and JSON schema count: characters, not UTF-16 units. */
const characters = (text: string): number => Array.from(text).length;

const auto = z.literal('auto');
const batchSize = z.union([auto, z.int().min(1).max(256)]).optional();
const learningRateMultiplier = z.union([auto, z.number().positive()]).optional();
const epochs = z.union([auto, z.int().min(1).max(50)]).optional();
const atLeastOne = z.union([auto, z.int().min(1)]).optional();

const supervisedHyperparameters = z.strictObject({
  batch_size: batchSize,
  learning_rate_multiplier: learningRateMultiplier,
  n_epochs: epochs,
});
const dpoHyperparameters = supervisedHyperparameters.extend({
  beta: z.union([auto, z.number().positive().max(2)]).optional(),
});
const reinforcementHyperparameters = supervisedHyperparameters.extend({
  reasoning_effort: z.enum(['default', 'low', 'medium', 'high']).optional(),
  compute_multiplier: z.union([auto, z.number().gt(0.00001).max(10)]).optional(),
  eval_interval: atLeastOne,
  eval_samples: atLeastOne,
});

const json: z.ZodType<JsonValue> = z.json();
const jsonObject: z.ZodType<JsonObject> = z.record(z.string(), json);

const method = z.strictObject({
  type: z.enum(['supervised', 'dpo', 'reinforcement']),
  supervised: z.strictObject({ hyperparameters: supervisedHyperparameters.optional() }).optional(),
  dpo: z.strictObject({ hyperparameters: dpoHyperparameters.optional() }).optional(),
  reinforcement: z
    .strictObject({
      grader: jsonObject,
      hyperparameters: reinforcementHyperparameters.optional(),
      response_format: jsonObject.optional(),
    })
    .optional(),
});

const integration = z.strictObject({
  type: z.literal('wandb'),
  wandb: z.strictObject({
    project: z.string(),
    name: z.string().optional(),
    entity: z.string().optional(),
    tags: z.array(z.string()).optional(),
  }),
});

const openAiFields = {
  model: z.string().max(1024),
  training_file: z.string(),
  validation_file: z.string().optional(),
  suffix: z
    .string()
    .refine((text) => characters(text) <= 64, 'expected at most 64 characters')
    .optional(),
  seed: z.int().min(0).max(2_147_483_647).optional(),
  method: method.optional(),
  hyperparameters: supervisedHyperparameters.optional(),
  integrations: z.array(integration).max(5).optional(),
  metadata: z
    .record(
      z.string(),
      z.string().refine((value) => characters(value) <= 512, 'expected at most 512 characters'),
    )
    .refine(
      (pairs) => Object.keys(pairs).every((key) => characters(key) <= 64),
      'expected keys of at most 64 characters',
    )
    .refine((pairs) => Object.keys(pairs).length <= 16, 'expected at most 16 pairs')
    .optional(),
};

/** OpenAI's fields and Portkey's two; other keys pass, to be checked by the provider that is chosen. */
export const createJobBody = z.looseObject({
  ...openAiFields,
  portkey_options: z.record(z.string(), z.string()).optional(),
  provider_options: jsonObject.optional(),
});

const OWN_KEYS = new Set([...Object.keys(openAiFields), 'portkey_options', 'provider_options']);
/**
 * Portkey's documented fields for some providers: its typed clients must fill them, and send them empty where they do not
 * apply. @see `JobCreateBody` of portkey-ai 3.1.0 and Portkey's create reference (read 2026-11-23)
 */
const MAY_BE_BLANK = new Set([
  ...OWN_KEYS,
  'model_type',
  'job_name',
  'role_arn',
  'output_file',
  'output_file_id',
  'customization_type',
]);
type WireHyperparameters = z.output<typeof reinforcementHyperparameters> & z.output<typeof dpoHyperparameters>;

/**
 * A parsed create. Fails with 400 `invalid_request` or `unknown_parameter` and `param` as a path. `""` and null in
 * optional fields that are known count as absent: typed clients send them.
 */
export function parseCreateJob(body: unknown): CreateJobRequest {
  checkBlanks(body);
  const parsed = parseInput(createJobBody, withoutBlanks(body));
  const extras = Object.entries(parsed).filter(([key]) => !OWN_KEYS.has(key));
  const integrations = (parsed.integrations ?? []).map(toIntegration);
  return {
    model: parsed.model,
    trainingFile: parsed.training_file,
    ...(parsed.validation_file === undefined ? {} : { validationFile: parsed.validation_file }),
    ...(parsed.suffix === undefined ? {} : { suffix: parsed.suffix }),
    ...(parsed.seed === undefined ? {} : { seed: parsed.seed }),
    method: toMethod(parsed.method, parsed.hyperparameters),
    ...(integrations.length === 0 ? {} : { integrations }),
    ...(parsed.metadata === undefined ? {} : { metadata: parsed.metadata }),
    portkeyOptions: lowerCaseNames(parsed.portkey_options ?? {}),
    providerOptions: parsed.provider_options ?? {},
    extraOptions: parseInput(jsonObject, Object.fromEntries(extras)),
  };
}

function toMethod(
  given: z.output<typeof method> | undefined,
  deprecated: z.output<typeof supervisedHyperparameters> | undefined,
): TrainingMethod {
  const type = given?.type ?? 'supervised';
  for (const other of ['supervised', 'dpo', 'reinforcement'] as const) {
    if (other !== type && given?.[other] !== undefined) {
      throw invalid(`method.${other}`, `'method.${other}' must be absent where 'method.type' is '${type}'.`);
    }
  }
  if (type === 'supervised') {
    return { type, hyperparameters: toHyperparameters(bothGiven(given?.supervised?.hyperparameters, deprecated)) };
  }
  if (deprecated !== undefined && Object.keys(deprecated).length > 0) {
    const message = `'hyperparameters' is for supervised jobs; give 'method.${type}.hyperparameters' instead.`;
    throw invalid('hyperparameters', message);
  }
  if (type === 'dpo') return { type, hyperparameters: toHyperparameters(given?.dpo?.hyperparameters ?? {}) };
  const reinforcement = given?.reinforcement;
  if (reinforcement === undefined) {
    throw invalid('method.reinforcement.grader', "Missing required parameter: 'method.reinforcement.grader'.");
  }
  return {
    type,
    hyperparameters: toHyperparameters(reinforcement.hyperparameters ?? {}),
    grader: reinforcement.grader,
    ...(reinforcement.response_format === undefined ? {} : { responseFormat: reinforcement.response_format }),
  };
}

/** The deprecated top-level field beside `method`: each may name what the other leaves out, and the same value twice. */
function bothGiven(
  current: z.output<typeof supervisedHyperparameters> = {},
  deprecated: z.output<typeof supervisedHyperparameters> = {},
): z.output<typeof supervisedHyperparameters> {
  for (const key of ['batch_size', 'learning_rate_multiplier', 'n_epochs'] as const) {
    if (current[key] !== undefined && deprecated[key] !== undefined && current[key] !== deprecated[key]) {
      const path = `method.supervised.hyperparameters.${key}`;
      throw invalid('hyperparameters', `'hyperparameters.${key}' and '${path}' differ; give one of them.`);
    }
  }
  return { ...deprecated, ...current };
}

function toHyperparameters(given: WireHyperparameters): Hyperparameters {
  return {
    ...(given.batch_size === undefined ? {} : { batchSize: given.batch_size }),
    ...(given.learning_rate_multiplier === undefined ? {} : { learningRateMultiplier: given.learning_rate_multiplier }),
    ...(given.n_epochs === undefined ? {} : { nEpochs: given.n_epochs }),
    ...(given.beta === undefined ? {} : { beta: given.beta }),
    ...(given.reasoning_effort === undefined ? {} : { reasoningEffort: given.reasoning_effort }),
    ...(given.compute_multiplier === undefined ? {} : { computeMultiplier: given.compute_multiplier }),
    ...(given.eval_interval === undefined ? {} : { evalInterval: given.eval_interval }),
    ...(given.eval_samples === undefined ? {} : { evalSamples: given.eval_samples }),
  };
}

function toIntegration({ wandb }: z.output<typeof integration>): WandbIntegration {
  return {
    type: 'wandb',
    wandb: {
      project: wandb.project,
      ...(wandb.name === undefined ? {} : { name: wandb.name }),
      ...(wandb.entity === undefined ? {} : { entity: wandb.entity }),
      ...(wandb.tags === undefined ? {} : { tags: wandb.tags }),
    },
  };
}

function lowerCaseNames(options: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const result = new Map<string, string>();
  for (const [given, value] of Object.entries(options)) {
    const name = given.trim().toLowerCase();
    if (result.has(name)) {
      throw invalid(`portkey_options.${given}`, `'portkey_options' has '${name}' twice, in different letter case.`);
    }
    result.set(name, value);
  }
  return Object.fromEntries(result);
}

function invalid(param: string, message: string): GatewayError {
  return new GatewayError('invalid_request', message, { param });
}

/** Objects whose blank members are left out too; what a caller may freely fill (metadata, graders) stays as it is. */
const PRUNED_INSIDE: Readonly<Record<string, true>> = {
  method: true,
  supervised: true,
  dpo: true,
  reinforcement: true,
  hyperparameters: true,
  integrations: true,
  wandb: true,
  portkey_options: true,
  provider_options: true,
};

/** A field that nobody knows is no less unknown for being empty. */
function checkBlanks(body: unknown): void {
  if (typeof body !== 'object' || body === null) return;
  const unknown = Object.entries(body).find(([key, value]) => isBlank(value) && !MAY_BE_BLANK.has(key));
  if (unknown === undefined) return;
  const [param] = unknown;
  throw new GatewayError('unknown_parameter', `Unknown parameter: '${param}'.`, { param });
}

function isBlank(value: unknown): boolean {
  return value === null || value === '';
}

function withoutBlanks(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutBlanks);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => !isBlank(member))
      .map(([key, member]) => [key, Object.hasOwn(PRUNED_INSIDE, key) ? withoutBlanks(member) : member]),
  );
}
