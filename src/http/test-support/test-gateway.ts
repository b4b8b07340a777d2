import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import { z } from 'zod';
import { createTestDatabase, type TestDatabase } from '../../../test/support/database.js';
import type { ProviderDefinition, Providers } from '../../domain/provider-port.js';
import { createFileContents } from '../../files/file-contents.js';
import { createFilesService } from '../../files/files-service.js';
import type { FileStore } from '../../files/file-store.js';
import { createLocalFileStore } from '../../files/local.js';
import { createUploadsService, type UploadsService } from '../../files/uploads-service.js';
import { createLogger } from '../../observability/logger.js';
import { createApiKeyRepository } from '../../store/api-keys.js';
import { createFileRepository, type FileRepository } from '../../store/files.js';
import { createUploadRepository, type UploadRepository } from '../../store/uploads.js';
import { createVirtualKeyRepository } from '../../store/virtual-keys.js';
import { createWorkspaceRepository } from '../../store/workspaces.js';
import { createGatewayKeys, newGatewayKey, type GatewayKeyService } from '../../vault/gateway-keys.js';
import { createVault } from '../../vault/vault.js';
import { createVirtualKeys, type VirtualKeys } from '../../vault/virtual-keys.js';
import { preflight } from '../../datasets/index.js';
import { createApp, type AppDependencies } from '../app.js';
import { createFilePreflight, type FilePreflight, type FilePreflightDependencies } from '../file-preflight.js';
import { createFilesRouter } from '../routes/files.js';
import { createPreflightRouter } from '../routes/preflight.js';
import { createUploadsRouter } from '../routes/uploads.js';
import { createVirtualKeysRouter } from '../routes/virtual-keys.js';

export interface TestGateway {
  readonly url: string;
  readonly key: string;
  /** A key of another workspace. */
  readonly otherKey: string;
  readonly testDatabase: TestDatabase;
  readonly repository: FileRepository;
  readonly uploads: UploadsService;
  readonly gatewayKeys: GatewayKeyService;
  readonly virtualKeys: VirtualKeys;
  readonly filePreflight: FilePreflight;
  readonly logLines: readonly string[];
  /** Files in the store, temporary ones included. */
  storedFiles(): Promise<readonly string[]>;
  /** A call with the key; `body` objects are sent as JSON. */
  call(method: string, path: string, options?: CallOptions): Promise<Answer>;
  stop(): Promise<void>;
}

export interface CallOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly key?: string | null;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // @NOTE answers are asserted field by field; `any` would be the alternative.
  readonly json: Record<string, unknown> & { readonly error?: Record<string, unknown> };
}

export interface TestGatewayOptions {
  readonly maxFileBytes?: number;
  readonly maxUploadBytes?: number;
  readonly maxPartBytes?: number;
  readonly wrapStore?: (store: FileStore) => FileStore;
  readonly wrapRepository?: (repository: FileRepository) => FileRepository;
  readonly preflight?: Partial<FilePreflightDependencies>;
  readonly wrapUploadRepository?: (repository: UploadRepository) => UploadRepository;
  readonly app?: Partial<AppDependencies>;
}

export const WORKSPACE = 'ws_test';
export const OTHER_WORKSPACE = 'ws_other';

/** The front door on a free port, with real PostgreSQL and a local store; no Temporal, no vendor. */
export async function startTestGateway(options: TestGatewayOptions = {}): Promise<TestGateway> {
  const testDatabase = await createTestDatabase();
  const { database } = testDatabase;
  const directory = await mkdtemp(join(tmpdir(), 'tunesmith-files-'));
  const logLines: string[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      logLines.push(chunk.toString());
      done();
    },
  });
  const logger = createLogger({ level: 'debug', destination });
  const workspaces = createWorkspaceRepository(database);
  const gatewayKeys = createGatewayKeys({ repository: createApiKeyRepository(database) });
  const [key, otherKey] = [newGatewayKey(), newGatewayKey()];
  await workspaces.ensure({ id: WORKSPACE, name: 'test' });
  await workspaces.ensure({ id: OTHER_WORKSPACE, name: 'other' });
  await gatewayKeys.ensure(key, { workspaceId: WORKSPACE, name: 'test' });
  await gatewayKeys.ensure(otherKey, { workspaceId: OTHER_WORKSPACE, name: 'other' });
  const localStore = await createLocalFileStore(directory);
  const fileRepository = createFileRepository(database);
  const repository = options.wrapRepository?.(fileRepository) ?? fileRepository;
  const store = options.wrapStore?.(localStore) ?? localStore;
  const contents = createFileContents({ store, pieces: (uploadId) => repository.pieces(uploadId) });
  const files = createFilesService({
    repository,
    store,
    contents,
    maxFileBytes: options.maxFileBytes ?? 512 * 1024 * 1024,
    logger,
  });
  const uploadRepository = createUploadRepository(database);
  const uploads = createUploadsService({
    repository: options.wrapUploadRepository?.(uploadRepository) ?? uploadRepository,
    files: repository,
    store,
    contents,
    maxUploadBytes: options.maxUploadBytes ?? 8 * 1024 * 1024 * 1024,
    maxPartBytes: options.maxPartBytes ?? 64 * 1024 * 1024,
    logger,
  });
  const filePreflight = createFilePreflight({
    files,
    preflight,
    maxRowBytes: 1024 * 1024,
    maxDatasetRows: null,
    ...options.preflight,
  });
  const vault = createVault(randomBytes(32));
  const virtualKeys = createVirtualKeys({
    repository: createVirtualKeyRepository(database),
    vault,
    providers: testProviders(),
  });
  const app = createApp({
    logger,
    gatewayKeys,
    publicRouters: [],
    routers: [
      createFilesRouter({ files }),
      createUploadsRouter({ uploads }),
      createPreflightRouter({ files, filePreflight }),
      createVirtualKeysRouter({ virtualKeys }),
    ],
    ...options.app,
  });
  const server = createServer(app);
  const url = await listen(server);
  return {
    url,
    key,
    otherKey,
    testDatabase,
    repository,
    uploads,
    gatewayKeys,
    virtualKeys,
    filePreflight,
    logLines,
    async storedFiles() {
      const entries = await readdir(directory, { recursive: true, withFileTypes: true });
      return entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    },
    async call(method, path, { body, headers = {}, key: callKey = key } = {}) {
      const isRaw =
        body === undefined || typeof body === 'string' || body instanceof FormData || body instanceof Uint8Array;
      const response = await fetch(url + path, {
        method,
        headers: {
          ...(callKey === null ? {} : { Authorization: `Bearer ${callKey}` }),
          ...(isRaw ? {} : { 'Content-Type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: isRaw ? body : JSON.stringify(body) }),
      });
      const text = await response.text();
      // @NOTE as above.
      const json = (text.startsWith('{') ? JSON.parse(text) : {}) as Answer['json'];
      return { status: response.status, headers: response.headers, json };
    },
    async stop() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      await testDatabase.drop();
      await rm(directory, { recursive: true, force: true });
    },
  };
}

async function listen(server: Server): Promise<string> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (typeof address !== 'object' || address === null) throw new Error('the server has no port');
  return `http://127.0.0.1:${address.port}`;
}

/** Two vendors in name only: what virtual keys need to know of one. */
function testProviders(): Providers {
  const definition = (
    name: ProviderDefinition['name'],
    settings: ProviderDefinition['settings'],
  ): ProviderDefinition => ({
    name,
    settings,
    endpointSettings: [],
    secretSettings: ['key', 'awsSecretAccessKey'],
    optionHeaders: {},
    jobOptions: z.strictObject({}),
    capabilities: {
      methods: ['supervised'],
      hyperparameters: {
        batchSize: 'native',
        learningRateMultiplier: 'native',
        nEpochs: 'native',
        beta: 'native',
        reasoningEffort: 'native',
        computeMultiplier: 'native',
        evalInterval: 'native',
        evalSamples: 'native',
      },
      pause: true,
      seed: true,
      integrations: true,
      validationFile: true,
      events: 'native',
      checkpoints: 'native',
      listDelayMs: 0,
      suffixMaxLength: 64,
      minimumRows: 10,
    },
    recognisesModel: () => null,
    checkRequest: () => undefined,
    connect: () => {
      throw new Error('no vendor here');
    },
  });
  const openai = definition('openai', z.strictObject({ key: z.string(), openaiProject: z.string().exactOptional() }));
  const bedrock = definition('bedrock', z.strictObject({ awsSecretAccessKey: z.string(), awsRegion: z.string() }));
  return { names: ['openai', 'bedrock'], get: (name) => (name === 'bedrock' ? bedrock : openai) };
}
