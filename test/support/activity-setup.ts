import { Readable } from 'node:stream';
import { createHash } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { createActivities, type ActivityDependencies } from '../../activities/index.js';
import { GatewayError } from '../../src/domain/errors.js';
import type { FineTuningActivities } from '../../src/domain/activities.js';
import { acceptedState, type DatasetRole, type JobRequest, type StateVersion } from '../../src/domain/job.js';
import type { FileContents } from '../../src/files/file-contents.js';
import type { FileStore } from '../../src/files/file-store.js';
import { createFileRepository, type FileRepository } from '../../src/store/files.js';
import { createJobCheckpointsRepository } from '../../src/store/job-checkpoints.js';
import { createJobEventsRepository, type JobEventRow } from '../../src/store/job-events.js';
import { createJobSubmissionsRepository } from '../../src/store/job-submissions.js';
import { createJobUploadsRepository } from '../../src/store/job-uploads.js';
import { createJobsRepository, type JobRow } from '../../src/store/jobs.js';
import { newJobId } from '../../src/store/new-id.js';
import type { Database } from '../../src/store/database.js';
import { createWorkspaceRepository } from '../../src/store/workspaces.js';
import { createScriptedProvider, type ScriptedProvider } from './scripted-provider.js';

// Failures of attempts are what these tests are about; the log of each says nothing more.
const silent = new DefaultLogger('ERROR', () => undefined);

export const RUN = 'run-a';
export const WORKSPACE = 'ws_test';
const REQUEST: JobRequest = {
  model: 'gpt-4o-mini-2024-07-18',
  trainingFile: 'file-train',
  validationFile: 'file-valid',
  seed: 1,
  method: { type: 'supervised', hyperparameters: {} },
};

/** The activities over real repositories and a vendor in memory, with one job in the row's first state. */
export interface ActivitySetup {
  readonly activities: FineTuningActivities;
  readonly dependencies: ActivityDependencies;
  readonly vendor: ScriptedProvider;
  readonly jobId: string;
  readonly contents: Map<string, string>;
  /** The worker's clock; the database has its own. */
  readonly clock: { nowMs: number };
  version(sequence?: number, runId?: string): StateVersion;
  row(): Promise<JobRow>;
  /** Oldest first. */
  events(): Promise<readonly JobEventRow[]>;
  /** The create was begun so long ago, by the database's clock. */
  submitBegunAgo(ms: number): Promise<void>;
  addJob(request?: JobRequest): Promise<string>;
  /** As an attempt that uploaded the dataset leaves the row. */
  uploaded(role: DatasetRole, remoteFileId: string): Promise<void>;
}

export type AttemptEnd<Output> =
  | { readonly result: Output; readonly failure: null }
  | { readonly result: null; readonly failure: ApplicationFailure | Error };

export async function createActivitySetup(
  database: Database,
  options: {
    readonly scale?: number;
    readonly maxResultFileBytes?: number;
    readonly listDelayMs?: number;
    readonly maxDatasetRows?: number;
  } = {},
): Promise<ActivitySetup> {
  const vendor = createScriptedProvider(options);
  const clock = { nowMs: Date.UTC(2026, 0, 1) };
  const contents = new Map<string, string>();
  const jobs = createJobsRepository(database);
  const events = createJobEventsRepository(database);
  const dependencies: ActivityDependencies = {
    jobs,
    events,
    submissions: createJobSubmissionsRepository(database),
    checkpoints: createJobCheckpointsRepository(database),
    jobUploads: createJobUploadsRepository(database),
    files: withSizesOf(contents, createFileRepository(database)),
    fileStore: createMemoryFileStore(contents),
    contents: contentsOf(contents),
    openJob: async (id) => ({ row: await jobs.get(id), definition: vendor.definition, provider: vendor.provider }),
    reconcile: () => Promise.reject(new Error('no reconciler in this test')),
    sweepFiles: () => Promise.reject(new Error('no sweep in this test')),
    pollIntervalScale: options.scale ?? 1,
    maxResultFileBytes: options.maxResultFileBytes ?? 1_000,
    maxRowBytes: 1_000_000,
    maxDatasetRows: options.maxDatasetRows ?? null,
    random: () => 0.5,
    now: () => clock.nowMs,
  };
  await createWorkspaceRepository(database).ensure({ id: WORKSPACE, name: 'test' });
  await seed(database);
  const addJob = (request: JobRequest = REQUEST) => insertJob(dependencies, request);
  const jobId = await addJob();
  return {
    activities: createActivities(dependencies),
    dependencies,
    vendor,
    jobId,
    contents,
    clock,
    version: (sequence = 1, runId = RUN) => ({ runId, sequence }),
    row: () => jobs.get(jobId),
    async events() {
      const page = await events.list(jobId, { after: null, limit: 1_000 });
      return [...(page?.rows ?? [])].reverse();
    },
    async submitBegunAgo(ms) {
      await database
        .updateTable('jobs')
        .set({ submitAttemptedAt: new Date(Date.now() - ms) })
        .where('id', '=', jobId)
        .execute();
    },
    addJob,
    async uploaded(role, remoteFileId) {
      const claim = await dependencies.jobUploads.claim(jobId, role);
      if (claim === null) throw new Error(`the ${role} file cannot be claimed`);
      await dependencies.jobUploads.recordRemoteFile(jobId, claim, remoteFileId);
    },
  };
}

/** Attempts of one activity: each begins with what the one before it left in its last heartbeat. */
export function createAttempts<Input, Output>(
  activity: (input: Input) => Promise<Output>,
  input: Input,
  firstDetails?: unknown,
) {
  let attempt = 0;
  let heartbeatDetails = firstDetails;
  return {
    lastHeartbeat: () => heartbeatDetails,
    async next(during?: (environment: MockActivityEnvironment) => void): Promise<AttemptEnd<Output>> {
      attempt += 1;
      const environment = new MockActivityEnvironment({ attempt, heartbeatDetails }, { logger: silent });
      environment.on('heartbeat', (details: unknown) => {
        heartbeatDetails = details;
      });
      during?.(environment);
      try {
        return { result: await environment.run(() => activity(input)), failure: null };
      } catch (error) {
        return { result: null, failure: error instanceof Error ? error : new Error(String(error)) };
      }
    },
  };
}

/** One attempt, the first. */
export function attempt<Input, Output>(
  activity: (input: Input) => Promise<Output>,
  input: Input,
): Promise<AttemptEnd<Output>> {
  return createAttempts(activity, input).next();
}

/** The delay until the next attempt, in milliseconds. */
export function delayOf(end: AttemptEnd<unknown>): number | undefined {
  if (!(end.failure instanceof ApplicationFailure)) return undefined;
  const { nextRetryDelay } = end.failure;
  return typeof nextRetryDelay === 'number' ? nextRetryDelay : undefined;
}

async function seed(database: Database): Promise<void> {
  const file = { workspaceId: WORKSPACE, filename: 'a.jsonl', purpose: 'fine-tune', sizeBytes: 1, sha256: '00' };
  await database
    .insertInto('files')
    .values([
      { ...file, id: 'file-train' },
      { ...file, id: 'file-valid' },
    ])
    .onConflict((conflict) => conflict.doNothing())
    .execute();
  await database
    .insertInto('virtualKeys')
    .values({
      id: 'vk_test',
      workspaceId: WORKSPACE,
      slug: 'test',
      name: 'test',
      provider: 'openai',
      note: null,
      settings: '{}',
      sealedSettings: Buffer.alloc(1),
    })
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

async function insertJob({ jobs }: ActivityDependencies, request: JobRequest): Promise<string> {
  const id = newJobId();
  await jobs.insert(
    {
      id,
      workspaceId: WORKSPACE,
      apiKeyId: 'key_test',
      provider: 'openai',
      virtualKeyId: 'vk_test',
      virtualKeySlug: 'test',
      sandbox: false,
      request,
      requestHash: id,
      idempotencyKey: null,
      sealedOptions: null,
    },
    {
      sameWithinMs: null,
      state: acceptedState(),
      firstEvent: { sourceId: 'gateway:created', level: 'info', type: 'message', message: 'Created', data: {} },
      stillWanted: () => true,
    },
  );
  return id;
}

function createMemoryFileStore(contents: Map<string, string>): FileStore {
  return {
    async put(id, content, { maxBytes }) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of content) chunks.push(chunk);
      const bytes = Buffer.concat(chunks);
      if (bytes.length > maxBytes) throw new GatewayError('payload_too_large', 'too large');
      contents.set(id, bytes.toString());
      return { sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    },
    open(id) {
      const text = contents.get(id);
      if (text === undefined) return Promise.reject(new GatewayError('file_content_missing', 'missing'));
      return Promise.resolve(Readable.from([Buffer.from(text)]));
    },
    sizeBytes: (id) => Promise.resolve(contents.get(id)?.length ?? null),
    delete(id) {
      contents.delete(id);
      return Promise.resolve();
    },
    async *list() {
      for (const id of [...contents.keys()]) yield await Promise.resolve({ id, modifiedAt: new Date(0) });
    },
    removeAbandoned: () => Promise.resolve(0),
    check: () => Promise.resolve(),
  };
}

/** What a test has put under a file's id, with no check of its SHA-256: the rows are seeded before the contents. */
function contentsOf(contents: Map<string, string>): FileContents {
  return { open: ({ id }) => createMemoryFileStore(contents).open(id) };
}

function withSizesOf(contents: Map<string, string>, files: FileRepository): FileRepository {
  return {
    ...files,
    async getForJob(id) {
      const row = await files.getForJob(id);
      return row === null ? null : { ...row, sizeBytes: Buffer.byteLength(contents.get(id) ?? '') };
    },
  };
}
