import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { acceptedState, type JobRequest, type TrainingMethod } from '../../domain/job.js';
import type { JobCheckpointRow } from '../../store/job-checkpoints.js';
import type { JobEventRow } from '../../store/job-events.js';
import type { JobRow } from '../../store/jobs.js';
import { checkpointList, eventList, jobList, jobObject } from './job-response.js';

const created = new Date('2026-01-02T03:04:05.678Z');

function rowOf(request: Partial<JobRequest> = {}, change: Partial<JobRow> = {}): JobRow {
  return {
    ...acceptedState(),
    resultFiles: [],
    finishedAt: null,
    id: 'ftjob-abc',
    workspaceId: 'ws_default',
    apiKeyId: 'key_1',
    createdAt: created,
    updatedAt: created,
    provider: 'openai',
    virtualKeyId: 'vk_1',
    virtualKeySlug: 'sandbox',
    sandbox: true,
    request: {
      model: 'gpt-4o-mini',
      trainingFile: 'file-abc',
      seed: 7,
      method: { type: 'supervised', hyperparameters: {} },
      ...request,
    },
    requestHash: '',
    idempotencyKey: null,
    sealedOptions: null,
    trainingFile: 'file-abc',
    validationFile: null,
    stateRunId: null,
    stateSequence: 0,
    replacedRunIds: [],
    workflowStartedAt: null,
    cancelRequestedAt: null,
    uploadAttemptedAt: null,
    submitAttemptedAt: null,
    providerJobId: null,
    submittedAt: null,
    remoteFiles: {},
    uploadProgress: {},
    rawStatus: null,
    progress: null,
    resolvedHyperparameters: null,
    estimatedFinish: null,
    nextPollAt: null,
    providerUnreachableSince: null,
    lastError: null,
    nextEventSequence: 1,
    ...change,
  };
}

const eventRow: JobEventRow = {
  id: 'ftevent-1',
  jobId: 'ftjob-abc',
  sequence: 1,
  sourceId: 'gateway:created',
  createdAt: created,
  level: 'info',
  type: 'message',
  message: 'Created',
  data: null,
};
const checkpointRow: JobCheckpointRow = {
  id: 'ftckpt_2',
  jobId: 'ftjob-abc',
  sourceId: 'x',
  createdAt: created,
  stepNumber: 10,
  fineTunedModelCheckpoint: 'ft:gpt-4o-mini:ws::abc:ckpt-step-10',
  metrics: { step: 10, train_loss: 0.5 },
};

/** OpenAI's schema of an answer, closed: a key that it does not name is an error, except `gateway` on a job. */
function validator(name: string): ValidateFunction {
  const text = readFileSync(new URL('../../../test/openai-schema/fine-tuning.json', import.meta.url), 'utf8');
  const document: unknown = JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || !('properties' in value)) return value;
    const { properties } = value;
    if (typeof properties !== 'object' || properties === null) return value;
    const isJob = 'trained_tokens' in properties;
    return {
      ...value,
      properties: isJob ? { ...properties, gateway: { type: 'object' } } : properties,
      additionalProperties: false,
    };
  });
  if (typeof document !== 'object' || document === null) throw new Error('the schema file is no object');
  const ajv = new Ajv2020({ strict: false, validateFormats: false });
  return ajv.compile({ ...document, $ref: `#/$defs/${name}` });
}

const overWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

function expectValid(name: string, value: unknown): void {
  const validate = validator(name);
  validate(overWire(value));
  expect(validate.errors).toBeNull();
}

const grader = { type: 'string_check', name: 'g', input: '{{sample.output_text}}', reference: 'x', operation: 'eq' };
const METHODS: readonly TrainingMethod[] = [
  { type: 'supervised', hyperparameters: { nEpochs: 3 } },
  { type: 'dpo', hyperparameters: { beta: 0.1 } },
  { type: 'reinforcement', hyperparameters: { reasoningEffort: 'low', evalSamples: 4 }, grader },
];

describe('a job object', () => {
  it.each(METHODS)("is OpenAI's, but for `gateway`: fresh, $type", (method) => {
    expectValid('FineTuningJob', jobObject(rowOf({ method })));
  });

  it("is OpenAI's with every field filled", () => {
    const row = rowOf(
      {
        validationFile: 'file-v',
        suffix: 's',
        metadata: { team: 'a' },
        integrations: [{ type: 'wandb', wandb: { project: 'p' } }],
      },
      {
        status: 'failed',
        error: { code: 'invalid_training_file', message: 'line 3', param: 'training_file' },
        fineTunedModel: 'ft:x',
        trainedTokens: 5,
        resultFiles: ['file-r'],
        finishedAt: created,
        resolvedHyperparameters: { nEpochs: 3, batchSize: 1, learningRateMultiplier: 1.8 },
        lastError: { code: 'provider_unavailable', message: 'm', at: created.toISOString() },
        progress: { step: 1 },
      },
    );
    expectValid('FineTuningJob', jobObject(row));
    expectValid('ListPaginatedFineTuningJobsResponse', jobList({ rows: [row], hasMore: true }));
  });

  it('would be caught with a key that OpenAI does not have', () => {
    expect(validator('FineTuningJob')(overWire({ ...jobObject(rowOf()), provider: 'openai' }))).toBe(false);
  });

  it('has times in whole seconds, nulls where there is nothing, and "auto" until the provider says otherwise', () => {
    expect(jobObject(rowOf())).toEqual({
      id: 'ftjob-abc',
      object: 'fine_tuning.job',
      created_at: 1_767_323_045,
      error: null,
      fine_tuned_model: null,
      finished_at: null,
      hyperparameters: { batch_size: 'auto', learning_rate_multiplier: 'auto', n_epochs: 'auto' },
      method: {
        type: 'supervised',
        supervised: { hyperparameters: { batch_size: 'auto', learning_rate_multiplier: 'auto', n_epochs: 'auto' } },
      },
      model: 'gpt-4o-mini',
      organization_id: 'ws_default',
      result_files: [],
      status: 'validating_files',
      trained_tokens: null,
      training_file: 'file-abc',
      validation_file: null,
      seed: 7,
      estimated_finish: null,
      integrations: [],
      metadata: null,
      gateway: {
        provider: 'openai',
        virtual_key: 'sandbox',
        sandbox: true,
        provider_job_id: null,
        raw_status: null,
        phase: 'accepted',
        progress: null,
        cancel_requested: false,
        provider_unreachable_since: null,
        next_poll_at: null,
        last_error: null,
      },
    });
  });

  it('shows what was observed while the job is open, and no plans once it is finished', () => {
    const seen = { estimatedFinish: created, nextPollAt: created, providerUnreachableSince: created };
    const open = jobObject(rowOf({}, { ...seen, status: 'running' }));
    expect(open.estimated_finish).toBe(1_767_323_045);
    expect(open.gateway).toMatchObject({ next_poll_at: 1_767_323_045, provider_unreachable_since: 1_767_323_045 });
    const closed = jobObject(rowOf({}, { ...seen, status: 'succeeded' }));
    expect(closed.estimated_finish).toBeNull();
    expect(closed.gateway).toMatchObject({ next_poll_at: null, provider_unreachable_since: null });
  });

  it('shows hyper-parameters as the provider resolved them, and fills the deprecated field for supervised jobs alone', () => {
    const resolved = { nEpochs: 3, batchSize: 1 };
    const supervised = jobObject(rowOf({}, { resolvedHyperparameters: resolved }));
    expect(supervised.hyperparameters).toEqual({ n_epochs: 3, batch_size: 1, learning_rate_multiplier: 'auto' });
    const dpo = jobObject(
      rowOf({ method: { type: 'dpo', hyperparameters: {} } }, { resolvedHyperparameters: resolved }),
    );
    expect(dpo.hyperparameters).toEqual({});
    expect(dpo.method).toMatchObject({ type: 'dpo', dpo: { hyperparameters: { n_epochs: 3, beta: 'auto' } } });
  });
});

describe('lists of events and checkpoints', () => {
  it("are OpenAI's", () => {
    expectValid('ListFineTuningJobEventsResponse', eventList({ rows: [eventRow], hasMore: true }));
    expectValid('ListFineTuningJobCheckpointsResponse', checkpointList({ rows: [checkpointRow], hasMore: false }));
  });

  it('name the first and the last checkpoint, or neither', () => {
    const second = { ...checkpointRow, id: 'ftckpt_1' };
    expect(checkpointList({ rows: [checkpointRow, second], hasMore: false })).toMatchObject({
      first_id: 'ftckpt_2',
      last_id: 'ftckpt_1',
    });
    const empty = checkpointList({ rows: [], hasMore: false });
    expect(empty).toEqual({ object: 'list', data: [], has_more: false, first_id: null, last_id: null });
    expectValid('ListFineTuningJobCheckpointsResponse', empty);
  });
});
