import { z } from 'zod';
import { GatewayError, type ErrorCode, type GatewayErrorOptions } from '../../src/domain/errors.js';
import type {
  FineTuningProvider,
  ProviderDefinition,
  RemoteCheckpoint,
  RemoteEvent,
  RemoteJob,
  UploadInput,
} from '../../src/domain/provider-port.js';

type Method = Exclude<keyof FineTuningProvider, 'name'>;

/** A vendor in memory: what it has, what it was asked, and what it refuses next. */
export interface ScriptedProvider {
  readonly definition: ProviderDefinition;
  readonly provider: FineTuningProvider;
  /** Calls in order, as `createJob` or `cancelJob job-1`. */
  readonly calls: string[];
  /** Every job, in the order they were made, with the marker each carries. */
  readonly jobs: { job: RemoteJob; readonly marker: string }[];
  /** Ids that its list does not show yet. */
  readonly unlisted: Set<string>;
  readonly events: RemoteEvent[];
  readonly checkpoints: RemoteCheckpoint[];
  readonly results: Map<string, string>;
  readonly files: Map<string, string>;
  /** The next call of the method fails; more than once where `times` says so. */
  fail(method: Method, error: unknown, times?: number): void;
  /** Runs when the method is called, before it does anything; once. */
  before(method: Method, action: () => Promise<void>): void;
  /** The next create is carried out, and its answer is lost. */
  loseAnswerOfCreate(): void;
  /** What an upload does before it reads its content. */
  duringUpload: (input: UploadInput, signal: AbortSignal) => Promise<void>;
  /** New jobs are not listed at once. */
  hideNewJobs: boolean;
  addJob(marker: string, change?: Partial<RemoteJob>): RemoteJob;
  change(id: string, change: Partial<RemoteJob>): void;
  called(method: Method): number;
}

export const refusal = (code: ErrorCode, status?: number, options: GatewayErrorOptions = {}): GatewayError =>
  new GatewayError(code, `scripted: ${code}`, {
    provider: 'openai',
    ...(status === undefined ? {} : { providerStatus: status }),
    ...options,
  });

export function remoteJob(id: string, change: Partial<RemoteJob> = {}): RemoteJob {
  return {
    id,
    status: 'queued',
    rawStatus: change.status ?? 'queued',
    error: null,
    fineTunedModel: null,
    trainedTokens: null,
    resultFiles: [],
    createdAt: '2026-01-01T00:00:00.000Z',
    finishedAt: null,
    estimatedFinish: null,
    hyperparameters: null,
    progress: null,
    ...change,
  };
}

export function createScriptedProvider(capabilities: { readonly listDelayMs?: number } = {}): ScriptedProvider {
  const failures = new Map<Method, { error: unknown; times: number }>();
  const actions = new Map<Method, () => Promise<void>>();
  let answerLost = false;

  const called = async (method: Method, about: string, signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    scripted.calls.push(about === '' ? method : `${method} ${about}`);
    const action = actions.get(method);
    actions.delete(method);
    await action?.();
    const failure = failures.get(method);
    if (failure === undefined) return;
    failure.times -= 1;
    if (failure.times === 0) failures.delete(method);
    throw failure.error;
  };
  const find = (id: string) => {
    const found = scripted.jobs.find(({ job }) => job.id === id);
    if (found === undefined) throw refusal('provider_not_found', 404);
    return found;
  };
  const control = async (method: Method, id: string, status: RemoteJob['status'], signal: AbortSignal) => {
    await called(method, id, signal);
    const { job } = find(id);
    if (job.status === 'succeeded' || job.status === 'failed' || job.status === 'cancelled') {
      throw refusal('provider_wrong_state', 400);
    }
    scripted.change(id, { status, rawStatus: status ?? 'unknown' });
    return find(id).job;
  };

  const provider: FineTuningProvider = {
    name: 'openai',
    canTune: () => Promise.resolve('unknown'),
    async uploadDataset(input, signal) {
      await called('uploadDataset', input.role, signal);
      await scripted.duringUpload(input, signal);
      let text = '';
      for await (const chunk of input.content) text += Buffer.from(chunk).toString();
      const id = `remote-${input.role}`;
      scripted.files.set(id, text);
      return { id };
    },
    async discardUpload(progress, signal) {
      await called('discardUpload', JSON.stringify(progress), signal);
    },
    async findDatasets(jobId, _since, signal) {
      await called('findDatasets', jobId, signal);
      return [...scripted.files.keys()].map((id) => ({ id }));
    },
    async deleteFile(fileId, signal) {
      await called('deleteFile', fileId, signal);
      if (!scripted.files.delete(fileId)) throw refusal('provider_not_found', 404);
    },
    async findJobs({ jobId }, signal) {
      await called('findJobs', '', signal);
      return scripted.jobs
        .filter(({ job, marker }) => marker === jobId && !scripted.unlisted.has(job.id))
        .map(({ job }) => job);
    },
    async createJob({ jobId }, signal) {
      await called('createJob', '', signal);
      const job = scripted.addJob(jobId);
      if (scripted.hideNewJobs) scripted.unlisted.add(job.id);
      if (!answerLost) return job;
      answerLost = false;
      throw refusal('provider_unavailable');
    },
    async getJob(id, signal) {
      await called('getJob', id, signal);
      return find(id).job;
    },
    cancelJob: (id, signal) => control('cancelJob', id, 'cancelled', signal),
    pauseJob: (id, signal) => control('pauseJob', id, 'paused', signal),
    resumeJob: (id, signal) => control('resumeJob', id, 'running', signal),
    async listEvents(_, afterId, signal) {
      await called('listEvents', afterId ?? 'all', signal);
      return scripted.events.slice(scripted.events.findIndex(({ id }) => id === afterId) + 1);
    },
    async listCheckpoints(_, signal) {
      await called('listCheckpoints', '', signal);
      return [...scripted.checkpoints];
    },
    async openResult(reference, signal) {
      await called('openResult', reference, signal);
      const text = scripted.results.get(reference);
      if (text === undefined) throw refusal('provider_result_missing', 404);
      return { fileName: 'step_metrics.csv', content: contentOf(text) };
    },
  };

  const scripted: ScriptedProvider = {
    definition: definitionOf(provider, capabilities.listDelayMs ?? 10_000),
    provider,
    calls: [],
    jobs: [],
    unlisted: new Set(),
    events: [],
    checkpoints: [],
    results: new Map(),
    files: new Map(),
    hideNewJobs: false,
    duringUpload: () => Promise.resolve(),
    fail(method, error, times = 1) {
      failures.set(method, { error, times });
    },
    before(method, action) {
      actions.set(method, action);
    },
    loseAnswerOfCreate() {
      answerLost = true;
    },
    addJob(marker, change = {}) {
      const job = remoteJob(`job-${scripted.jobs.length + 1}`, change);
      scripted.jobs.push({ job, marker });
      return job;
    },
    change(id, change) {
      const entry = find(id);
      entry.job = { ...entry.job, ...change };
    },
    called: (method) => scripted.calls.filter((call) => call.split(' ')[0] === method).length,
  };
  return scripted;
}

async function* contentOf(text: string): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(Buffer.from(text));
}

function definitionOf(provider: FineTuningProvider, listDelayMs: number): ProviderDefinition {
  const native = 'native' as const;
  return {
    name: 'openai',
    capabilities: {
      methods: ['supervised'],
      hyperparameters: {
        batchSize: native,
        learningRateMultiplier: native,
        nEpochs: native,
        beta: native,
        reasoningEffort: native,
        computeMultiplier: native,
        evalInterval: native,
        evalSamples: native,
      },
      pause: true,
      seed: true,
      integrations: true,
      validationFile: true,
      events: 'native',
      checkpoints: 'native',
      listDelayMs,
      suffixMaxLength: 64,
      minimumRows: 10,
    },
    settings: z.strictObject({}),
    endpointSettings: [],
    secretSettings: [],
    optionHeaders: {},
    jobOptions: z.strictObject({}),
    recognisesModel: () => null,
    checkRequest: () => undefined,
    connect: () => provider,
  };
}
