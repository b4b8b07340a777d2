import { randomInt } from 'node:crypto';
import { GatewayError } from '../domain/errors.js';
import { acceptedState, type JobRequest } from '../domain/job.js';
import type { JsonObject } from '../domain/json.js';
import type { JobRow, JobsRepository } from '../store/jobs.js';
import { jobIdForIdempotencyKey, newJobId } from '../store/new-id.js';
import type { VirtualKeyRow } from '../store/virtual-keys.js';
import type { Vault } from '../vault/vault.js';
import { chooseVirtualKey, type ChooseVirtualKeyDependencies } from './choose-virtual-key.js';
import type { JobCaller, JobLog } from './job-caller.js';
import { JOB_OPTIONS_KIND, overrideSettings, parseJobOptions, settingOverrides } from './provider-options.js';
import { requestHash } from './request-hash.js';
import type { StartFromRow } from './start-from-row.js';

/** A create after the wire's checks; what depends on the provider is still as it came. */
export interface CreateJobRequest extends Pick<
  JobRequest,
  'model' | 'trainingFile' | 'validationFile' | 'suffix' | 'method' | 'integrations' | 'metadata'
> {
  readonly seed?: number;
  /** Names in lower case. */
  readonly portkeyOptions: Readonly<Record<string, string>>;
  readonly providerOptions: JsonObject;
  /** Keys of the body that are not OpenAI's. */
  readonly extraOptions: JsonObject;
}

export interface CreateJobInput {
  readonly caller: JobCaller;
  readonly request: CreateJobRequest;
  readonly idempotencyKey: string | null;
  /** How often the caller's library has tried this call before: `x-stainless-retry-count`. */
  readonly retryCount: number;
  /** False once the caller has gone. */
  readonly stillWanted: () => boolean;
}

export interface CreateJobDependencies extends ChooseVirtualKeyDependencies {
  readonly jobs: Pick<JobsRepository, 'insert' | 'find' | 'findSame' | 'requireFiles'>;
  readonly startFromRow: StartFromRow;
  readonly vault: Pick<Vault, 'seal'>;
  /** Derived from the master key: job ids of idempotent creates and hashes of option values hang on it. */
  readonly idempotencySecret: Uint8Array;
  readonly log: JobLog;
}

/** The job as it was accepted, whoever made it; null where the caller had gone and nothing was made. */
export type CreateJob = (input: CreateJobInput) => Promise<JobRow | null>;

const START_DEADLINE_MS = 1_500;
/** Within this an equal create that says it is a retry is one. */
const RETRY_WINDOW_MS = 10 * 60_000;
const IDEMPOTENCY_KEY_MAX_LENGTH = 255;
const SEED_LIMIT = 2 ** 31;

/**
 * Creates a job: answers once its row is committed, whether Temporal can start it now or later. The same Idempotency-Key and
 * body, or a library's own retry, answer as the first attempt did. Fails with the codes of `chooseVirtualKey`,
 * `idempotency_conflict`, `invalid_training_file`, `unknown_parameter`, `unsupported_parameter`, `invalid_request`.
 */
export function createJobCreator(dependencies: CreateJobDependencies): CreateJob {
  return async (input) => {
    const { caller, request, idempotencyKey } = input;
    checkIdempotencyKey(idempotencyKey);
    const hash = requestHash(dependencies.idempotencySecret, request);
    const id =
      idempotencyKey === null
        ? newJobId()
        : jobIdForIdempotencyKey(dependencies.idempotencySecret, caller.workspaceId, idempotencyKey);
    const sameWithinMs = idempotencyKey === null && input.retryCount >= 1 ? RETRY_WINDOW_MS : null;

    // Before anything that may have changed since the first attempt: keys, defaults, files, what the vendor lists.
    const earlier =
      idempotencyKey !== null
        ? await dependencies.jobs.find(caller.workspaceId, id)
        : sameWithinMs !== null
          ? await dependencies.jobs.findSame({ ...caller, requestHash: hash, withinMs: sameWithinMs })
          : undefined;
    if (earlier !== undefined) return replay(earlier, hash);

    const providerModel = modelForProvider(request.providerOptions);
    await dependencies.jobs.requireFiles(caller.workspaceId, request);
    const prepareFor = (candidate: VirtualKeyRow) => prepare(dependencies, candidate, request, providerModel);
    const keyRequest = {
      workspaceId: caller.workspaceId,
      portkeyOptions: request.portkeyOptions,
      model: providerModel ?? request.model,
      modelParam: providerModel === undefined ? 'model' : 'provider_options.model',
    };
    const key = await chooseVirtualKey(dependencies, keyRequest, prepareFor);
    const prepared = await prepareFor(key);

    const outcome = await dependencies.jobs.insert(
      {
        id,
        ...caller,
        provider: key.provider,
        virtualKeyId: key.id,
        virtualKeySlug: key.slug,
        sandbox: key.sandbox,
        request: prepared.request,
        requestHash: hash,
        idempotencyKey,
        sealedOptions: isEmpty(prepared.overrides)
          ? null
          : dependencies.vault.seal(prepared.overrides, {
              kind: JOB_OPTIONS_KIND,
              rowId: id,
              workspaceId: caller.workspaceId,
            }),
      },
      {
        sameWithinMs,
        state: acceptedState(),
        firstEvent: {
          sourceId: 'gateway:created',
          level: 'info',
          type: 'message',
          message: `Created fine-tuning job: ${id}`,
          data: {},
        },
        stillWanted: input.stillWanted,
      },
    );
    if (outcome.outcome === 'abandoned') return null;
    if (outcome.outcome === 'existing') return replay(outcome.row, hash);
    await start(dependencies, outcome.row);
    return asAccepted(outcome.row);
  };
}

/** The checks that hang on the provider, before any money is spent. */
async function prepare(
  dependencies: CreateJobDependencies,
  key: VirtualKeyRow,
  given: CreateJobRequest,
  providerModel: string | undefined,
): Promise<{ request: JobRequest; overrides: JsonObject }> {
  const definition = dependencies.providers.get(key.provider);
  const overrides = settingOverrides(definition, given.portkeyOptions);
  const providerOptions = parseJobOptions(
    definition,
    Object.fromEntries(Object.entries(given.providerOptions).filter(([name]) => name !== 'model')),
    given.extraOptions,
  );
  const request: JobRequest = {
    model: given.model,
    trainingFile: given.trainingFile,
    method: given.method,
    ...(given.validationFile === undefined ? {} : { validationFile: given.validationFile }),
    ...(given.suffix === undefined ? {} : { suffix: given.suffix }),
    ...(given.integrations === undefined ? {} : { integrations: given.integrations }),
    ...(given.metadata === undefined ? {} : { metadata: given.metadata }),
    ...(providerModel === undefined ? {} : { providerModel }),
    seed: given.seed ?? randomInt(SEED_LIMIT),
    seedGiven: given.seed !== undefined,
    ...(isEmpty(providerOptions) ? {} : { providerOptions }),
  };
  definition.checkRequest(request);
  if (!isEmpty(overrides)) {
    const { settings } = await dependencies.virtualKeys.resolveById(key.id);
    overrideSettings(definition, settings, overrides);
  }
  return { request, overrides };
}

function modelForProvider(providerOptions: JsonObject): string | undefined {
  const model = providerOptions['model'];
  if (model === undefined || typeof model === 'string') return model;
  const param = 'provider_options.model';
  throw new GatewayError('invalid_request', `Invalid value for '${param}': expected string.`, { param });
}

async function start({ startFromRow, log }: CreateJobDependencies, row: JobRow): Promise<void> {
  try {
    await startFromRow(row, { mode: 'first', deadlineMs: START_DEADLINE_MS });
  } catch (error) {
    // The job is accepted: the reconciler starts what has no run.
    log.warn({ err: error, jobId: row.id }, 'the job is accepted; its workflow will be started later');
  }
}

function replay(row: JobRow, hash: string): JobRow {
  if (row.requestHash === hash) return asAccepted(row);
  throw new GatewayError(
    'idempotency_conflict',
    'This Idempotency-Key was used before with another body. Use a new key for a new job.',
    { param: 'Idempotency-Key' },
  );
}

/** The first answer, as often as it is asked for: the row before anything happened to the job. */
export function asAccepted(row: JobRow): JobRow {
  const state = acceptedState();
  return {
    ...row,
    status: state.status,
    phase: state.phase,
    error: null,
    fineTunedModel: null,
    trainedTokens: null,
    resultFiles: [],
    finishedAt: null,
    cancelRequestedAt: null,
    providerJobId: null,
    rawStatus: null,
    progress: null,
    resolvedHyperparameters: null,
    estimatedFinish: null,
    nextPollAt: null,
    providerUnreachableSince: null,
    lastError: null,
  };
}

function checkIdempotencyKey(key: string | null): void {
  if (key === null || (key.length >= 1 && key.length <= IDEMPOTENCY_KEY_MAX_LENGTH)) return;
  throw new GatewayError(
    'invalid_request',
    `The header Idempotency-Key must have 1 to ${IDEMPOTENCY_KEY_MAX_LENGTH} characters.`,
    { param: 'Idempotency-Key' },
  );
}

const isEmpty = (object: object): boolean => Object.keys(object).length === 0;
