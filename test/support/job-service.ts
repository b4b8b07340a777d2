import { z } from 'zod';
import type { FineTuningJobInput } from '../../src/domain/activities.js';
import { GatewayError } from '../../src/domain/errors.js';
import { acceptedState, type JobView } from '../../src/domain/job.js';
import type { Tunability, FineTuningProvider, ProviderDefinition, Providers } from '../../src/domain/provider-port.js';
import type { ProviderName } from '../../src/domain/provider-name.js';
import { createJobService, type JobService } from '../../src/jobs/job-service.js';
import { createStartFromRow, type StartFromRow } from '../../src/jobs/start-from-row.js';
import type { JobWorkflows, RunStatus, StartMode } from '../../src/jobs/workflows-port.js';
import type { Database } from '../../src/store/database.js';
import { createJobCheckpointsRepository } from '../../src/store/job-checkpoints.js';
import { createJobEventsRepository } from '../../src/store/job-events.js';
import { createJobsRepository, type JobRow, type JobsRepository } from '../../src/store/jobs.js';
import { createVirtualKeyRepository } from '../../src/store/virtual-keys.js';
import { createWorkspaceRepository } from '../../src/store/workspaces.js';
import { createVault, type Vault } from '../../src/vault/vault.js';
import { createVirtualKeys, type VirtualKeys } from '../../src/vault/virtual-keys.js';

/** A Temporal that lives in memory and can be taken away. */
export interface FakeWorkflows extends JobWorkflows {
  readonly starts: { readonly input: FineTuningJobInput; readonly mode: StartMode }[];
  readonly signals: string[];
  readonly queries: string[];
  readonly controls: string[];
  /** While true every call fails as Temporal's absence does. */
  down: boolean;
  /** What `describe` says; jobs that were started are running. */
  readonly runs: Map<string, RunStatus>;
  readonly views: Map<string, JobView>;
  /** Awaited by queries before they answer. */
  beforeQuery: () => Promise<void>;
  refusal: GatewayError | null;
}

export function createFakeWorkflows(): FakeWorkflows {
  const checkUp = (): void => {
    if (fake.down) throw new GatewayError('temporal_unavailable', 'Temporal does not answer.');
  };
  const open = (jobId: string): boolean => fake.runs.get(jobId) === 'running';
  const fake: FakeWorkflows = {
    starts: [],
    signals: [],
    queries: [],
    controls: [],
    down: false,
    runs: new Map(),
    views: new Map(),
    beforeQuery: () => Promise.resolve(),
    refusal: null,
    async start(input, options) {
      await Promise.resolve();
      checkUp();
      if (open(input.jobId) || (options.mode === 'first' && fake.runs.has(input.jobId))) return false;
      fake.starts.push({ input, mode: options.mode });
      fake.runs.set(input.jobId, 'running');
      return true;
    },
    async query(jobId) {
      fake.queries.push(jobId);
      await fake.beforeQuery();
      checkUp();
      const view = fake.views.get(jobId);
      if (view === undefined) throw new GatewayError('temporal_unavailable', 'no worker');
      return view;
    },
    async signalCancel(jobId) {
      await Promise.resolve();
      checkUp();
      if (!open(jobId)) return false;
      fake.signals.push(jobId);
      return true;
    },
    async signalRefresh(jobId) {
      await Promise.resolve();
      checkUp();
      return open(jobId);
    },
    async control(jobId, action) {
      await Promise.resolve();
      checkUp();
      fake.controls.push(`${action} ${jobId}`);
      if (fake.refusal !== null) throw fake.refusal;
      const view = fake.views.get(jobId);
      if (view === undefined) throw new GatewayError('temporal_unavailable', 'no run');
      return view;
    },
    async describe(jobId) {
      await Promise.resolve();
      checkUp();
      return fake.runs.get(jobId) ?? 'not_found';
    },
  };
  return fake;
}

/** A vendor of which a test says what it tunes. `canTune` answers by model; a model not in the map is 'unknown'. */
export interface FakeVendor {
  readonly definition: ProviderDefinition;
  readonly tunes: Map<string, Tunability | 'hangs' | 'fails'>;
  readonly lookUps: string[];
}

export function createFakeVendor(name: ProviderName, options: { readonly pause?: boolean } = {}): FakeVendor {
  const tunes: FakeVendor['tunes'] = new Map();
  const lookUps: string[] = [];
  const notHere = (): never => {
    throw new Error('the front door does not do this');
  };
  const provider: FineTuningProvider = {
    name,
    async canTune(model) {
      lookUps.push(model);
      const answer = tunes.get(model);
      if (answer === 'hangs') return new Promise(() => undefined);
      if (answer === 'fails') throw new GatewayError('provider_unavailable', 'away');
      return Promise.resolve(answer ?? 'unknown');
    },
    uploadDataset: notHere,
    discardUpload: notHere,
    findDatasets: notHere,
    deleteFile: notHere,
    findJobs: notHere,
    createJob: notHere,
    getJob: notHere,
    cancelJob: notHere,
    pauseJob: notHere,
    resumeJob: notHere,
    listEvents: notHere,
    listCheckpoints: notHere,
    openResult: notHere,
  };
  const native = 'native' as const;
  const definition: ProviderDefinition = {
    name,
    capabilities: {
      methods: ['supervised', 'dpo', 'reinforcement'],
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
      pause: options.pause ?? true,
      seed: true,
      integrations: true,
      validationFile: true,
      events: 'native',
      checkpoints: 'native',
      listDelayMs: 0,
      suffixMaxLength: 64,
      minimumRows: 10,
    },
    settings: z
      .strictObject({
        apiKey: z.string().startsWith('sk-'),
        region: z.string().optional(),
        baseUrl: z.string().optional(),
      })
      .transform((given) => ({
        apiKey: given.apiKey,
        ...(given.region === undefined ? {} : { region: given.region }),
        ...(given.baseUrl === undefined ? {} : { baseUrl: given.baseUrl }),
      })),
    endpointSettings: ['baseUrl'],
    secretSettings: ['apiKey'],
    optionHeaders: { authorization: 'apiKey', 'x-portkey-region': 'region', 'x-portkey-custom-host': 'baseUrl' },
    jobOptions: z
      .strictObject({ job_name: z.string().optional() })
      .transform((given) => (given.job_name === undefined ? {} : { job_name: given.job_name })),
    recognisesModel: (model) => (model.includes('.') && name !== 'bedrock' ? false : null),
    checkRequest(request) {
      if (request.suffix === 'unsupported') {
        throw new GatewayError('unsupported_parameter', 'no such suffix here', { param: 'suffix' });
      }
    },
    connect: () => provider,
  };
  return { definition, tunes, lookUps };
}

export interface JobServiceSetup {
  readonly service: JobService;
  readonly workflows: FakeWorkflows;
  readonly jobs: JobsRepository;
  readonly startFromRow: StartFromRow;
  readonly virtualKeys: VirtualKeys;
  readonly vault: Vault;
  readonly providers: Providers;
  readonly vendors: Readonly<Record<'openai' | 'bedrock', FakeVendor>>;
  readonly caller: { readonly workspaceId: string; readonly apiKeyId: string };
  readonly logged: string[];
  /** A file of the workspace, for training. */
  addFile(id: string, purpose?: string): Promise<void>;
}

/** The jobs service over a real database, with Temporal and the vendors in memory, and a sandbox key named `sandbox`. */
export async function createJobServiceSetup(database: Database): Promise<JobServiceSetup> {
  const vendors = { openai: createFakeVendor('openai'), bedrock: createFakeVendor('bedrock', { pause: false }) };
  const byName = new Map<ProviderName, ProviderDefinition>(
    Object.values(vendors).map(({ definition }) => [definition.name, definition]),
  );
  const providers: Providers = {
    names: [...byName.keys()],
    get(name) {
      const definition = byName.get(name);
      if (definition === undefined) throw new Error(`no vendor ${name} in this test`);
      return definition;
    },
  };
  const vault = createVault(Buffer.alloc(32, 7));
  const virtualKeys = createVirtualKeys({ repository: createVirtualKeyRepository(database), vault, providers });
  const workflows = createFakeWorkflows();
  const jobs = createJobsRepository(database);
  const logged: string[] = [];
  const log = {
    warn: (_: object, message: string) => logged.push(message),
    error: (_: object, message: string) => logged.push(message),
  };
  const startFromRow = createStartFromRow({
    workflows,
    jobs,
    settings: { taskQueuePrefix: 'test', pollIntervalScale: 1, activityTimeoutScale: 1, remoteCleanup: 'never' },
  });
  const service = createJobService({
    jobs,
    events: createJobEventsRepository(database),
    checkpoints: createJobCheckpointsRepository(database),
    workflows,
    startFromRow,
    virtualKeys,
    providers,
    vault,
    idempotencySecret: vault.derive('idempotency'),
    log,
  });
  const caller = { workspaceId: 'ws_test', apiKeyId: 'key_test' };
  await createWorkspaceRepository(database).ensure({ id: caller.workspaceId, name: 'test' });
  await virtualKeys.create(caller.workspaceId, {
    name: 'sandbox',
    slug: 'sandbox',
    provider: 'openai',
    sandbox: true,
    settings: { apiKey: 'sk-sandbox' },
  });
  const addFile = async (id: string, purpose = 'fine-tune'): Promise<void> => {
    await database
      .insertInto('files')
      .values({ id, workspaceId: caller.workspaceId, filename: 'a.jsonl', purpose, sizeBytes: 1, sha256: '00' })
      .execute();
  };
  await addFile('file-train');
  return { service, workflows, jobs, startFromRow, virtualKeys, vault, providers, vendors, caller, logged, addFile };
}

/** A view of the job as a run would answer. */
export function viewOf(row: JobRow, version: JobView['version'], change: Partial<JobView> = {}): JobView {
  return {
    ...acceptedState(),
    jobId: row.id,
    version,
    provider: row.provider,
    providerJobId: null,
    cancelRequested: false,
    ...change,
  };
}
