import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { GatewayError } from '../../domain/errors.js';
import type { JobRequest } from '../../domain/job.js';
import {
  carriesMarker,
  checkRequest,
  recognisesModel,
  toCreateBody,
  toJob,
  trainsOnMarkedFile,
  tunability,
} from './map.js';
import { jobReply, type JobReply } from './wire.js';

const reply = (name: string): JobReply =>
  jobReply.parse(JSON.parse(readFileSync(new URL(`__fixtures__/${name}.json`, import.meta.url), 'utf8')));
const REQUEST: JobRequest = {
  model: 'gpt-4o-mini',
  trainingFile: 'file-ours',
  seed: 7,
  method: { type: 'supervised', hyperparameters: {} },
};
const FILES = { training: 'file-theirs' };
const pairs = (count: number): Record<string, string> =>
  Object.fromEntries(Array.from({ length: count }, (_, index) => [`key${index}`, 'value']));

describe('a job of OpenAI’s', () => {
  it('has not failed because its error is an object', () => {
    expect(toJob(reply('job-created'))).toMatchObject({
      status: 'validating_files',
      error: null,
      createdAt: '2024-10-10T14:20:00.000Z',
      hyperparameters: { nEpochs: 'auto', batchSize: 'auto', learningRateMultiplier: 'auto' },
    });
  });

  it('shows resolved hyper-parameters before requested ones', () => {
    expect(toJob(reply('job-succeeded'))).toMatchObject({
      status: 'succeeded',
      error: null,
      trainedTokens: 5049,
      fineTunedModel: 'ft:gpt-4o-mini-2024-07-18:personal::Ab3dE9fG',
      resultFiles: ['file-Mn4bVc7XzLk2JhGf9DsAq5Wp'],
      hyperparameters: { nEpochs: 3, batchSize: 1, learningRateMultiplier: 1.8 },
    });
    expect(toJob(reply('job-dpo')).hyperparameters).toEqual({
      beta: 0.1,
      batchSize: 'auto',
      learningRateMultiplier: 'auto',
      nEpochs: 2,
    });
  });

  it('tells why it failed, and gives a reason without a code one of ours', () => {
    expect(toJob(reply('job-failed')).error).toEqual({
      code: 'invalid_n_examples',
      message: 'Training file has 1 example(s), but must have at least 10 examples',
      param: 'training_file',
    });
    const vague = { ...reply('job-failed'), error: { message: 'Something happened.' } };
    expect(toJob(vague).error).toEqual({ code: 'provider_job_failed', message: 'Something happened.', param: null });
  });

  it('keeps a status it does not know, an absent one included, as no status', () => {
    for (const status of ['moderating', 'constructor', undefined]) {
      expect(toJob({ ...reply('job-created'), status })).toMatchObject({ status: null, rawStatus: status ?? '' });
    }
  });

  it('is read from the least that can be read', () => {
    expect(toJob(jobReply.parse({ id: 'ftjob-1' }))).toMatchObject({ status: null, resultFiles: [], createdAt: null });
  });
});

describe('a create body', () => {
  it('has the marker, the seed and what was given, and nothing else', () => {
    expect(toCreateBody({ jobId: 'ftjob-ours', request: REQUEST, files: FILES })).toEqual({
      model: 'gpt-4o-mini',
      training_file: 'file-theirs',
      seed: 7,
      method: { type: 'supervised', supervised: {} },
      metadata: { gateway_job_id: 'ftjob-ours' },
    });
  });

  it('carries every field', () => {
    const request: JobRequest = {
      ...REQUEST,
      providerModel: 'gpt-4o-mini-2024-07-18',
      suffix: 'mine',
      metadata: { team: 'a' },
      integrations: [{ type: 'wandb', wandb: { project: 'p', tags: ['t'] } }],
      method: {
        type: 'reinforcement',
        hyperparameters: {
          reasoningEffort: 'low',
          computeMultiplier: 2,
          evalInterval: 'auto',
          evalSamples: 3,
          batchSize: 4,
        },
        grader: { type: 'string_check' },
        responseFormat: { type: 'json_schema' },
      },
    };
    const files = { training: 'file-theirs', validation: 'file-validation' };
    expect(toCreateBody({ jobId: 'ftjob-ours', request, files })).toEqual({
      model: 'gpt-4o-mini-2024-07-18',
      training_file: 'file-theirs',
      validation_file: 'file-validation',
      suffix: 'mine',
      seed: 7,
      method: {
        type: 'reinforcement',
        reinforcement: {
          grader: { type: 'string_check' },
          response_format: { type: 'json_schema' },
          hyperparameters: {
            batch_size: 4,
            compute_multiplier: 2,
            eval_interval: 'auto',
            eval_samples: 3,
            reasoning_effort: 'low',
          },
        },
      },
      integrations: [{ type: 'wandb', wandb: { project: 'p', tags: ['t'] } }],
      metadata: { team: 'a', gateway_job_id: 'ftjob-ours' },
    });
  });

  it('leaves sixteen pairs of the user as they are, and marks fifteen', () => {
    const body = (count: number) =>
      toCreateBody({ jobId: 'ftjob-ours', request: { ...REQUEST, metadata: pairs(count) }, files: FILES })['metadata'];
    expect(body(16)).toEqual(pairs(16));
    expect(body(15)).toEqual({ ...pairs(15), gateway_job_id: 'ftjob-ours' });
  });
});

describe('the marker', () => {
  const marker = { jobId: 'ftjob-ours', files: FILES };

  it('is looked for on the job, whatever a filter promised', () => {
    expect(carriesMarker({ id: 'a', metadata: { gateway_job_id: 'ftjob-ours' } }, marker)).toBe(true);
    expect(carriesMarker({ id: 'a', metadata: { gateway_job_id: 'ftjob-other' } }, marker)).toBe(false);
    expect(carriesMarker({ id: 'a', metadata: null }, marker)).toBe(false);
  });

  it('is the training file only where metadata is full and names no other job', () => {
    const job = { id: 'a', training_file: 'file-theirs', metadata: pairs(16) };
    expect(trainsOnMarkedFile(job, marker)).toBe(true);
    expect(trainsOnMarkedFile({ ...job, metadata: pairs(15) }, marker)).toBe(false);
    expect(trainsOnMarkedFile({ ...job, training_file: 'file-other' }, marker)).toBe(false);
    expect(trainsOnMarkedFile({ ...job, metadata: { ...pairs(15), gateway_job_id: 'ftjob-other' } }, marker)).toBe(
      false,
    );
    expect(trainsOnMarkedFile(job, { ...marker, files: {} })).toBe(false);
  });
});

describe('models', () => {
  it.each<[string, boolean | null]>([
    ['ft:gpt-4o-mini-2024-07-18:acme::Ab3dE9fG', true],
    ['gpt-4.1-mini-2025-04-14', null],
    ['gpt-3.5-turbo', null],
    ['davinci-002', null],
    ['amazon.titan-text-lite-v1:0:4k', false],
    ['us.amazon.nova-lite-v1:0', false],
    ['arn:aws:bedrock:us-east-1::foundation-model', false],
    ['accounts/fireworks/models/llama-v3p1-8b-instruct', false],
  ])('recognises %s by its form: %s', (model, expected) => {
    expect(recognisesModel(model)).toBe(expected);
  });

  it('can be tuned where they are tuned already, cannot once they are shut down, and else do not tell', () => {
    const now = new Date('2026-11-23T12:00:00Z');
    expect(tunability({ id: 'ft:gpt-4o-mini:acme::x' }, now)).toBe('tunable');
    expect(tunability({ id: 'gpt-4o-mini', shutdown_date: '2027-01-14' }, now)).toBe('unknown');
    expect(tunability({ id: 'gpt-4.1-nano', shutdown_date: '2026-10-23' }, now)).toBe('not_tunable');
    expect(tunability({ id: 'whisper-1', shutdown_date: null }, now)).toBe('unknown');
  });
});

describe('checkRequest', () => {
  it('refuses a suffix of 65 characters by name', () => {
    checkRequest({ ...REQUEST, suffix: 'x'.repeat(64) });
    expect(() => checkRequest({ ...REQUEST, suffix: 'x'.repeat(65) })).toThrow(
      expect.objectContaining({ code: 'unsupported_parameter', param: 'suffix' }),
    );
    expect(() => checkRequest({ ...REQUEST, suffix: 'x'.repeat(65) })).toThrow(GatewayError);
  });
});
