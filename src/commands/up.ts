import { join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { pino } from 'pino';
import { loadConfig } from '../config/config.js';
import { readEnvironment } from '../config/env.js';
import { createContext } from '../context.js';
import { listen } from '../http/server.js';
import { createLogger, type Logger } from '../observability/logger.js';
import type { LogLevel } from '../observability/logger.js';
import { acquireHomeLock } from '../processes/home-lock.js';
import { DEFAULT_WORKSPACE_ID } from '../store/workspaces.js';
import { installTemporalRuntime } from '../temporal/runtime.js';
import { newGatewayKey } from '../vault/gateway-keys.js';
import { newMasterKey, parseMasterKey } from '../vault/vault.js';
import { startChildren } from './children.js';
import { keptSecret, prepareHome, removeReady, writeReady } from './home.js';
import { createProgress } from './progress.js';
import { prepareDatabase } from './prepare-database.js';
import { ensureSandboxKey } from './sandbox.js';
import { stopSignal } from './stop-signal.js';
import { productVersion } from './version.js';
import { welcome } from './welcome.js';

const DRAIN_MS = 3_000;
/** Everything has stopped by then, or is killed: whoever stops us waits no longer. */
const STOP_WITHIN_MS = 14_000;

/** `tunesmith up`: everything on one machine, until SIGINT or SIGTERM. */
export async function runUp(): Promise<void> {
  const starting = new AbortController();
  const stopped = stopSignal();
  void stopped.then(() => {
    starting.abort(new Error('stopped while starting'));
    setTimeout(() => process.exit(1), STOP_WITHIN_MS).unref();
  });
  try {
    await runUntilStopped(stopped, starting.signal);
  } catch (error) {
    // Whoever stops a start has what they asked for.
    if (!starting.signal.aborted) throw error;
  }
}

async function runUntilStopped(stopped: Promise<NodeJS.Signals>, starting: AbortSignal): Promise<void> {
  const environment = readEnvironment();
  const { config, secrets } = loadConfig('up', environment);
  const { home } = config;
  await prepareHome(home);
  const lock = await acquireHomeLock(home);
  await removeReady(home);
  const logger = await fileLogger(home, config.logLevel);
  installTemporalRuntime(logger);
  const progress = createProgress();
  const version = productVersion();
  const masterKey = secrets.masterKey ?? parseMasterKey((await keptSecret(home, 'master-key', newMasterKey)).value);
  const apiKey =
    secrets.apiKey === null ? await keptSecret(home, 'api-key', newGatewayKey) : { value: secrets.apiKey, made: false };

  progress.step('Looking for Temporal');
  const log = (message: string): void => {
    logger.info(message);
  };
  const children = await startChildren(config, environment, progress, log, starting);
  try {
    const context = await createContext(
      config,
      {
        role: 'up',
        version,
        masterKey,
        databaseUrl: children.databaseUrl,
        fileStore: children.fileStore,
        s3Credentials: secrets.s3,
        temporal: children.target,
        adoptLostRuns: children.temporal !== null,
      },
      logger,
    );
    await prepareDatabase(context, {
      apiKey: apiKey.value,
      onWait: (error) => {
        logger.warn({ why: error.message }, 'waiting for the database');
        progress.step(`Waiting for the database: ${error.message}`);
      },
      signal: starting,
    });
    await ensureSandboxKey(context.virtualKeys, {
      workspaceId: DEFAULT_WORKSPACE_ID,
      emulatorsUrl: children.emulators.url,
      logger,
    });

    let stopping = false;
    const workers = context.startWorkers();
    const app = context.createGateway({
      isStopping: () => stopping,
      probes: {
        ...children.probes,
        workers: () => (workers.running() ? Promise.resolve(undefined) : Promise.reject(new Error('not polling'))),
      },
    });
    const server = await listen(app, { ...config, logger });
    await Promise.race([workers.ready, stopped]);
    const ready = {
      url: server.url,
      dashboardUrl: null,
      temporalAddress: children.target.connectionOptions.address ?? '',
      temporalUiUrl: children.temporal?.uiUrl ?? null,
      databaseUrl: children.publicDatabaseUrl,
      emulatorsUrl: children.emulators.url,
      vertexGrpcAddress: null,
      azureLoginUrl: null,
      pid: process.pid,
      version,
    };
    await writeReady(home, ready);
    progress.done(`Tunesmith ${version} is ready`);
    process.stdout.write(welcome(ready, { home, shownKey: apiKey.made ? apiKey.value : null }));

    const signal = await stopped;
    logger.info({ signal }, 'stopping');
    progress.step('Stopping');
    stopping = true;
    await removeReady(home);
    await Promise.allSettled([server.close(DRAIN_MS), workers.stop()]);
    await context.close();
  } finally {
    await children.stop();
    progress.stop();
    lock.release();
  }
}

/** All of it goes to a file; what somebody must act on goes to standard error as well. */
async function fileLogger(home: string, level: LogLevel): Promise<Logger> {
  const directory = join(home, 'logs');
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const file = pino.destination({ dest: join(directory, 'tunesmith.log'), sync: false, mkdir: true });
  const streams = pino.multistream([
    { level: level === 'silent' ? 'fatal' : level, stream: file },
    { level: 'error', stream: process.stderr },
  ]);
  return createLogger({ level, destination: streams });
}
