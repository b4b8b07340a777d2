import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { GatewayError } from '../../domain/errors.js';
import { createJobBody, parseCreateJob } from './job-request.js';

const openAiFields = z.object({
  $defs: z.object({ CreateFineTuningJobRequest: z.object({ properties: z.record(z.string(), z.unknown()) }) }),
});

const minimal = { model: 'gpt-4o-mini', training_file: 'file-abc' };

function refusal(body: unknown): { code: string; param: string | null; message: string } {
  try {
    parseCreateJob(body);
  } catch (error) {
    if (error instanceof GatewayError) return { code: error.code, param: error.param, message: error.message };
    throw error;
  }
  throw new Error('the body was accepted');
}

describe('the body of a create', () => {
  it('needs no more than a model and a training file', () => {
    expect(parseCreateJob(minimal)).toEqual({
      model: 'gpt-4o-mini',
      trainingFile: 'file-abc',
      method: { type: 'supervised', hyperparameters: {} },
      portkeyOptions: {},
      providerOptions: {},
      extraOptions: {},
    });
  });

  it('takes every field of OpenAI, of every method', () => {
    const common = { batch_size: 4, learning_rate_multiplier: 0.5, n_epochs: 'auto' };
    const parsed = parseCreateJob({
      ...minimal,
      validation_file: 'file-def',
      suffix: 'x'.repeat(64),
      seed: 0,
      metadata: { team: '' },
      integrations: [{ type: 'wandb', wandb: { project: 'p', name: 'n', entity: 'e', tags: ['t'] } }],
      method: { type: 'supervised', supervised: { hyperparameters: common } },
    });
    expect(parsed).toMatchObject({
      validationFile: 'file-def',
      seed: 0,
      metadata: { team: '' },
      integrations: [{ type: 'wandb', wandb: { project: 'p', name: 'n', entity: 'e', tags: ['t'] } }],
      method: { hyperparameters: { batchSize: 4, learningRateMultiplier: 0.5, nEpochs: 'auto' } },
    });
    expect(
      parseCreateJob({ ...minimal, method: { type: 'dpo', dpo: { hyperparameters: { ...common, beta: 0.1 } } } })
        .method,
    ).toEqual({
      type: 'dpo',
      hyperparameters: { batchSize: 4, learningRateMultiplier: 0.5, nEpochs: 'auto', beta: 0.1 },
    });
    const grader = { type: 'string_check', name: 'g', input: '', reference: null, operation: 'eq' };
    expect(
      parseCreateJob({
        ...minimal,
        method: {
          type: 'reinforcement',
          reinforcement: {
            grader,
            hyperparameters: {
              reasoning_effort: 'high',
              compute_multiplier: 10,
              eval_interval: 1,
              eval_samples: 'auto',
            },
          },
        },
      }).method,
    ).toEqual({
      type: 'reinforcement',
      grader,
      hyperparameters: { reasoningEffort: 'high', computeMultiplier: 10, evalInterval: 1, evalSamples: 'auto' },
    });
  });

  it('counts empty strings and nulls in optional fields as absent, where typed clients send them', () => {
    expect(
      parseCreateJob({
        ...minimal,
        validation_file: '',
        suffix: null,
        seed: null,
        metadata: null,
        integrations: null,
        hyperparameters: { n_epochs: null },
        method: { type: 'supervised', supervised: { hyperparameters: null }, dpo: null, reinforcement: null },
        role_arn: '',
        job_name: null,
        output_file: '',
        portkey_options: { 'x-portkey-virtual-key': 'sandbox', 'x-portkey-aws-s3-bucket': '' },
        provider_options: { model: null },
      }),
    ).toEqual({
      ...parseCreateJob(minimal),
      portkeyOptions: { 'x-portkey-virtual-key': 'sandbox' },
    });
  });

  it.each(['stream', 'constructor', 'toString', 'Role_arn'])(
    'refuses the unknown field %s, also where it is empty',
    (field) => {
      for (const value of [null, '']) {
        expect(() => parseCreateJob({ ...minimal, [field]: value })).toThrow(
          expect.objectContaining({ code: 'unknown_parameter', param: field }),
        );
      }
    },
  );

  it('reads the deprecated hyperparameters as those of a supervised job', () => {
    const deprecated = parseCreateJob({ ...minimal, hyperparameters: { n_epochs: 3 } });
    expect(deprecated.method).toEqual({ type: 'supervised', hyperparameters: { nEpochs: 3 } });
    const both = parseCreateJob({
      ...minimal,
      hyperparameters: { n_epochs: 3, batch_size: 2 },
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 3 } } },
    });
    expect(both.method.hyperparameters).toEqual({ nEpochs: 3, batchSize: 2 });
  });

  it("keeps what is not OpenAI's apart, for the provider to check", () => {
    const parsed = parseCreateJob({
      ...minimal,
      model_type: 'chat',
      portkey_options: { 'X-Portkey-Virtual-Key': 'bedrock' },
      provider_options: { role_arn: 'arn' },
    });
    expect(parsed.extraOptions).toEqual({ model_type: 'chat' });
    expect(parsed.portkeyOptions).toEqual({ 'x-portkey-virtual-key': 'bedrock' });
    expect(parsed.providerOptions).toEqual({ role_arn: 'arn' });
  });

  const supervised = (hyperparameters: unknown): unknown => ({
    ...minimal,
    method: { type: 'supervised', supervised: { hyperparameters } },
  });
  const dpo = (hyperparameters: unknown): unknown => ({
    ...minimal,
    method: { type: 'dpo', dpo: { hyperparameters } },
  });
  const reinforcement = (hyperparameters: unknown): unknown => ({
    ...minimal,
    method: { type: 'reinforcement', reinforcement: { grader: { type: 'multi' }, hyperparameters } },
  });
  const wandb = { type: 'wandb', wandb: { project: 'p' } };

  it.each<[string, unknown, string]>([
    ['no model', { training_file: 'file-abc' }, 'model'],
    ['an empty model', { ...minimal, model: '' }, 'model'],
    ['a model that is a number', { ...minimal, model: 7 }, 'model'],
    ['no training file', { model: 'm' }, 'training_file'],
    ['a suffix of 65 characters', { ...minimal, suffix: 'x'.repeat(65) }, 'suffix'],
    ['a suffix that is no string', { ...minimal, suffix: 5 }, 'suffix'],
    ['a negative seed', { ...minimal, seed: -1 }, 'seed'],
    ['a seed over 2^31-1', { ...minimal, seed: 2_147_483_648 }, 'seed'],
    ['a seed with a fraction', { ...minimal, seed: 1.5 }, 'seed'],
    ['deprecated n_epochs "two"', { ...minimal, hyperparameters: { n_epochs: 'two' } }, 'hyperparameters.n_epochs'],
    ['n_epochs "two"', supervised({ n_epochs: 'two' }), 'method.supervised.hyperparameters.n_epochs'],
    ['n_epochs 0', supervised({ n_epochs: 0 }), 'method.supervised.hyperparameters.n_epochs'],
    ['n_epochs 51', supervised({ n_epochs: 51 }), 'method.supervised.hyperparameters.n_epochs'],
    ['batch_size 257', supervised({ batch_size: 257 }), 'method.supervised.hyperparameters.batch_size'],
    [
      'a multiplier of 0',
      supervised({ learning_rate_multiplier: 0 }),
      'method.supervised.hyperparameters.learning_rate_multiplier',
    ],
    ['beta 0', dpo({ beta: 0 }), 'method.dpo.hyperparameters.beta'],
    ['beta over 2', dpo({ beta: 2.1 }), 'method.dpo.hyperparameters.beta'],
    [
      'a compute multiplier at the bound',
      reinforcement({ compute_multiplier: 0.00001 }),
      'method.reinforcement.hyperparameters.compute_multiplier',
    ],
    [
      'an unknown effort',
      reinforcement({ reasoning_effort: 'huge' }),
      'method.reinforcement.hyperparameters.reasoning_effort',
    ],
    ['eval_samples 0', reinforcement({ eval_samples: 0 }), 'method.reinforcement.hyperparameters.eval_samples'],
    ['a method without a type', { ...minimal, method: {} }, 'method.type'],
    ['an unknown method', { ...minimal, method: { type: 'magic' } }, 'method.type'],
    [
      'reinforcement without a grader',
      { ...minimal, method: { type: 'reinforcement' } },
      'method.reinforcement.grader',
    ],
    ['the parameters of another method', { ...minimal, method: { type: 'dpo', supervised: {} } }, 'method.supervised'],
    [
      'differing hyperparameters in both places',
      {
        ...minimal,
        hyperparameters: { n_epochs: 2 },
        method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 3 } } },
      },
      'hyperparameters',
    ],
    [
      'deprecated hyperparameters of a dpo job',
      { ...minimal, hyperparameters: { n_epochs: 2 }, method: { type: 'dpo' } },
      'hyperparameters',
    ],
    ['six integrations', { ...minimal, integrations: Array.from({ length: 6 }, () => wandb) }, 'integrations'],
    [
      'an integration without a project',
      { ...minimal, integrations: [{ type: 'wandb', wandb: {} }] },
      'integrations[0].wandb.project',
    ],
    [
      '17 pairs of metadata',
      { ...minimal, metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`k${i}`, 'v'])) },
      'metadata',
    ],
    ['a metadata value that is no string', { ...minimal, metadata: { k: 1 } }, 'metadata.k'],
    ['a metadata value of 513 characters', { ...minimal, metadata: { k: 'v'.repeat(513) } }, 'metadata.k'],
    ['a metadata key of 65 characters', { ...minimal, metadata: { ['k'.repeat(65)]: 'v' } }, 'metadata'],
    ['metadata that is no object', { ...minimal, metadata: 'k=v' }, 'metadata'],
    [
      'an option that is no string',
      { ...minimal, portkey_options: { 'x-portkey-virtual-key': 5 } },
      'portkey_options.x-portkey-virtual-key',
    ],
    ['an option twice', { ...minimal, portkey_options: { 'x-a': '1', 'X-A': '2' } }, 'portkey_options.X-A'],
    ['provider options that are no object', { ...minimal, provider_options: [] }, 'provider_options'],
  ])('refuses %s, naming it', (_what, body, param) => {
    expect(refusal(body)).toMatchObject({ code: 'invalid_request', param });
  });

  it.each<[unknown, string]>([
    [supervised({ beta: 0.1 }), 'method.supervised.hyperparameters.beta'],
    [supervised({ epochs: 3 }), 'method.supervised.hyperparameters.epochs'],
    [{ ...minimal, method: { type: 'supervised', supervised: {}, note: 'x' } }, 'method.note'],
    [{ ...minimal, integrations: [{ ...wandb, other: 1 }] }, 'integrations[0].other'],
  ])('refuses a key that the place does not have', (body, param) => {
    expect(refusal(body)).toMatchObject({ code: 'unknown_parameter', param });
  });

  it("does not repeat an option's value, which may be a credential", () => {
    const { message } = refusal({ ...minimal, portkey_options: { 'x-portkey-api-key': ['sk-hidden'] } });
    expect(message).not.toContain('sk-hidden');
  });

  it("knows every field of OpenAI's document", () => {
    const fields = openAiFields.parse(
      JSON.parse(readFileSync(new URL('../../../test/openai-schema/fine-tuning.json', import.meta.url), 'utf8')),
    );
    const known = Object.keys(createJobBody.shape);
    expect(known).toEqual(expect.arrayContaining(Object.keys(fields.$defs.CreateFineTuningJobRequest.properties)));
  });

  it('counts the characters of a suffix, not its UTF-16 units', () => {
    expect(parseCreateJob({ ...minimal, suffix: '🙂'.repeat(64) }).suffix).toBe('🙂'.repeat(64));
  });
});
