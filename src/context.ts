import type { Express } from 'express';
import { createActivities, type ActivityDependencies } from '../activities/index.js';
import type { Config } from './config/config.js';
import { preflight } from './datasets/index.js';
import { createFileContents } from './files/file-contents.js';
import { createFilesService } from './files/files-service.js';
import type { FileStoreLocation, S3Credentials } from './files/location.js';
import { openFileStore } from './files/open-file-store.js';
import { createUploadsService } from './files/uploads-service.js';
import { createFileSweeper } from './files/sweep.js';
import { createApp } from './http/app.js';
import { createFilePreflight } from './http/file-preflight.js';
import { createFilesRouter } from './http/routes/files.js';
import { createFineTuningJobsRouter } from './http/routes/fine-tuning-jobs.js';
import { createHealthRouter, type ReadinessProbe } from './http/routes/health.js';
import { createPreflightRouter } from './http/routes/preflight.js';
import { createUploadsRouter } from './http/routes/uploads.js';
import { createVirtualKeysRouter } from './http/routes/virtual-keys.js';
import { createJobService } from './jobs/job-service.js';
import { createOpenJob } from './jobs/open-job.js';
import { createReconciler } from './jobs/reconcile.js';
import { createStartFromRow } from './jobs/start-from-row.js';
import { createTemporalWorkflows } from './jobs/temporal-workflows.js';
import { namedLogger, type Logger } from './observability/logger.js';
import { createProviders } from './providers/registry.js';
import { createApiKeyRepository } from './store/api-keys.js';
import { createContentRows } from './store/content-rows.js';
import { createDatabase } from './store/database.js';
import { createFileRepository } from './store/files.js';
import { createInstallationRepository } from './store/installation.js';
import { createJobCheckpointsRepository } from './store/job-checkpoints.js';
import { createJobEventsRepository } from './store/job-events.js';
import { createJobSubmissionsRepository } from './store/job-submissions.js';
import { createJobUploadsRepository } from './store/job-uploads.js';
import { createJobsRepository } from './store/jobs.js';
import { createUploadRepository } from './store/uploads.js';
import { createVirtualKeyRepository } from './store/virtual-keys.js';
import { createWorkspaceRepository, type WorkspaceRepository } from './store/workspaces.js';
import { workflowBundlePath } from './temporal/bundle-path.js';
import { createTemporalClient, type TemporalTarget } from './temporal/connection.js';
import { createSearchAttributes } from './temporal/search-attributes.js';
import { keepWorkersRunning, type RunningWorkers } from './temporal/worker-loop.js';
import { createGatewayKeys, type GatewayKeyService } from './vault/gateway-keys.js';
import { createVault } from './vault/vault.js';
import { createVirtualKeys, type VirtualKeys } from './vault/virtual-keys.js';
import type { Database } from './store/database.js';

const RECONCILE_GRACE_MS = 30_000;

/** Where a process finds what it works with: children of ours, or what the configuration names. */
export interface ContextResources {
  readonly role: 'up' | 'gateway' | 'worker';
  readonly version: string;
  readonly masterKey: Buffer;
  readonly databaseUrl: string;
  readonly fileStore: FileStoreLocation;
  /** Of an S3 store; null: those that the AWS SDK finds. */
  readonly s3Credentials: S3Credentials | null;
  readonly temporal: TemporalTarget;
  /** True where Temporal is our child: a run that it does not know is lost, and its job is adopted. */
  readonly adoptLostRuns: boolean;
}

export interface Context {
  readonly database: Database;
  readonly workspaces: WorkspaceRepository;
  readonly gatewayKeys: GatewayKeyService;
  readonly virtualKeys: VirtualKeys;
  /** Fails where the database was made with another master key: its secrets and job ids are that one's. */
  requireSameMasterKey(): Promise<void>;
  createGateway(options: GatewayOptions): Express;
  /** Starts the workers and starts them anew whenever they end by themselves. */
  startWorkers(): RunningWorkers;
  close(): Promise<void>;
}

export interface GatewayOptions {
  readonly isStopping: () => boolean;
  /** Beside database, Temporal and file store. */
  readonly probes?: Readonly<Record<string, ReadinessProbe>>;
}

/** The one place where services are built. `overrides` is for tests: a clock, or chance. */
export async function createContext(
  config: Config,
  resources: ContextResources,
  logger: Logger,
  overrides: Partial<Pick<ActivityDependencies, 'now' | 'random'>> = {},
): Promise<Context> {
  const { masterKey, temporal } = resources;
  const database = createDatabase({
    databaseUrl: resources.databaseUrl,
    applicationName: `tunesmith-${resources.role}`,
    onIdleError: (error) => logger.warn({ err: error }, 'an idle database connection was lost'),
  });
  const fileStore = await openFileStore(resources.fileStore, resources.s3Credentials);
  const providers = createProviders();
  const vault = createVault(masterKey);
  const { client, close: closeTemporal } = createTemporalClient(temporal);
  const searchAttributes = createSearchAttributes(client, temporal.namespace, namedLogger(logger, 'temporal'));

  const jobs = createJobsRepository(database, { fileRetentionDays: config.fileRetentionDays });
  const events = createJobEventsRepository(database);
  const checkpoints = createJobCheckpointsRepository(database);
  const submissions = createJobSubmissionsRepository(database);
  const fileRepository = createFileRepository(database, { retentionDays: config.fileRetentionDays });
  const virtualKeys = createVirtualKeys({ repository: createVirtualKeyRepository(database), vault, providers });
  const gatewayKeys = createGatewayKeys({ repository: createApiKeyRepository(database) });
  const contents = createFileContents({ store: fileStore, pieces: (uploadId) => fileRepository.pieces(uploadId) });
  const files = createFilesService({
    repository: fileRepository,
    store: fileStore,
    contents,
    maxFileBytes: config.maxFileBytes,
    logger: namedLogger(logger, 'files'),
  });
  const uploads = createUploadsService({
    repository: createUploadRepository(database, { retentionDays: config.fileRetentionDays }),
    files: fileRepository,
    store: fileStore,
    contents,
    maxUploadBytes: config.maxUploadBytes,
    maxPartBytes: config.maxUploadPartBytes,
    logger: namedLogger(logger, 'files'),
  });

  const jobLog = namedLogger(logger, 'jobs');
  const workflows = createTemporalWorkflows({
    client,
    searchAttributesAvailable: () => searchAttributes.available(),
  });
  const startFromRow = createStartFromRow({
    workflows,
    jobs,
    settings: {
      taskQueuePrefix: config.taskQueuePrefix,
      pollIntervalScale: config.pollIntervalScale,
      activityTimeoutScale: config.activityTimeoutScale,
      remoteCleanup: config.remoteCleanup,
    },
  });
  const reconcile = createReconciler({
    jobs,
    workflows,
    startFromRow,
    adoptLostRuns: resources.adoptLostRuns,
    graceMs: RECONCILE_GRACE_MS * config.pollIntervalScale,
    log: jobLog,
  });

  return {
    database,
    workspaces: createWorkspaceRepository(database),
    gatewayKeys,
    virtualKeys,

    async requireSameMasterKey() {
      const claimed = await createInstallationRepository(database).claim('master_key_id', vault.keyId);
      if (claimed === vault.keyId) return;
      throw new Error(
        'this database was made with another master key: set TUNESMITH_MASTER_KEY (or the file master-key in the home) to that one',
      );
    },

    createGateway({ isStopping, probes }) {
      const jobService = createJobService({
        jobs,
        events,
        checkpoints,
        workflows,
        startFromRow,
        virtualKeys,
        providers,
        vault,
        idempotencySecret: vault.derive('job-ids'),
        log: jobLog,
      });
      const filePreflight = createFilePreflight({
        files,
        preflight,
        maxRowBytes: config.maxRowBytes,
        maxDatasetRows: config.maxDatasetRows,
      });
      return createApp({
        logger: namedLogger(logger, 'http'),
        gatewayKeys,
        isStopping,
        publicRouters: [
          createHealthRouter({
            version: resources.version,
            isStopping,
            probes: {
              database: async () => {
                await database.selectFrom('workspaces').select('id').limit(1).execute();
                return undefined;
              },
              file_store: async () => {
                await fileStore.check();
                return undefined;
              },
              temporal: async () => {
                await client.withDeadline(Date.now() + 1_500, () =>
                  client.workflowService.describeNamespace({ namespace: temporal.namespace }),
                );
                return undefined;
              },
              ...probes,
            },
          }),
        ],
        routers: [
          createFilesRouter({ files }),
          createUploadsRouter({ uploads }),
          createPreflightRouter({ files, filePreflight }),
          createFineTuningJobsRouter({ jobs: jobService }),
          createVirtualKeysRouter({ virtualKeys }),
        ],
      });
    },

    startWorkers() {
      const activities = createActivities({
        jobs,
        submissions,
        jobUploads: createJobUploadsRepository(database),
        events,
        checkpoints,
        files: fileRepository,
        fileStore,
        contents,
        openJob: createOpenJob({ jobs, virtualKeys, providers, vault }),
        reconcile: async () => {
          await files.removeExpired();
          await uploads.removeExpired();
          await virtualKeys.removeDeleted();
          return reconcile();
        },
        sweepFiles: createFileSweeper({
          store: fileStore,
          rows: createContentRows(database),
          installation: createInstallationRepository(database),
          logger: namedLogger(logger, 'files'),
        }),
        pollIntervalScale: config.pollIntervalScale,
        maxResultFileBytes: config.maxFileBytes,
        maxRowBytes: config.maxRowBytes,
        maxDatasetRows: config.maxDatasetRows,
        random: overrides.random ?? Math.random,
        now: overrides.now ?? Date.now,
      });
      return keepWorkersRunning({
        client,
        searchAttributes,
        logger: namedLogger(logger, 'worker'),
        pollIntervalScale: config.pollIntervalScale,
        workers: {
          target: temporal,
          taskQueuePrefix: config.taskQueuePrefix,
          providers: providers.names,
          activities,
          bundlePath: workflowBundlePath(),
          providerActivitiesPerSecond: config.providerActivitiesPerSecond,
          logger: namedLogger(logger, 'worker'),
        },
      });
    },

    async close() {
      await closeTemporal();
      await database.destroy();
    },
  };
}
