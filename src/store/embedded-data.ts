import { randomBytes } from 'node:crypto';
import { chmod, chown, mkdtemp, readFile, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { identify, readCommandLine } from '../processes/process-identity.js';
import { runCommand } from '../processes/run-command.js';
import { stopProcess } from '../processes/stop-process.js';
import { POSTGRES_ENVIRONMENT } from './embedded-binaries.js';
import type { PostgresBinaries } from './embedded-binaries.js';
import type { PostgresLocation } from './embedded-location.js';

/** The superuser, and the database that is ours. */
export const POSTGRES_USER = 'tunesmith';
export const POSTGRES_DATABASE = 'tunesmith';

const INITDB_TIMEOUT_MS = 120_000;
/** PostgreSQL's fast shutdown writes out what is in memory; cut short, the next start replays its log. */
export const POSTGRES_STOP_DEADLINE_MS = 5_000;

export interface PrepareDataOptions {
  readonly location: PostgresLocation;
  readonly binaries: PostgresBinaries;
  /** Where the superuser's password is kept, mode 600. */
  readonly passwordFile: string;
  readonly log: (message: string) => void;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Makes the data directory if there is none, checks that this PostgreSQL can read it if there is one, and returns
 * the superuser's password. A directory under the final name is complete: it is made under another one.
 */
export const prepareData = async (options: PrepareDataOptions): Promise<string> => {
  const { location, binaries, passwordFile, log } = options;
  await removeHalfDone(location);
  const version = await readFile(join(location.dataDirectory, 'PG_VERSION'), 'utf8').catch(() => undefined);
  const kept = (await readFile(passwordFile, 'utf8').catch(() => '')).trim();
  if (version === undefined) {
    const password = kept === '' ? await makePassword(passwordFile) : kept;
    await initialise(options, password);
    return password;
  }
  if (Number(version) !== binaries.majorVersion) {
    throw new Error(
      `the database in ${location.dataDirectory} was made by PostgreSQL ${version.trim()}, and this release brings ${binaries.majorVersion}: dump it with the release that made it (pg_dump) and restore it, or choose another TUNESMITH_HOME`,
    );
  }
  if (kept !== '') return kept;
  log(`${passwordFile} is missing: giving the database a new password`);
  const password = newPassword();
  await setPassword(options, password);
  await writePassword(passwordFile, password);
  return password;
};

const newPassword = (): string => randomBytes(24).toString('base64url');

const makePassword = async (passwordFile: string): Promise<string> => {
  const password = newPassword();
  await writePassword(passwordFile, password);
  return password;
};

const writePassword = async (passwordFile: string, password: string): Promise<void> => {
  await writeFile(`${passwordFile}.tmp`, `${password}\n`, { mode: 0o600 });
  await rename(`${passwordFile}.tmp`, passwordFile);
};

const HALF_DONE_PREFIX = 'postgres-initialising-';

/** What an initdb that was killed has left. One that still runs may hinder it, and then the next start does it. */
const removeHalfDone = async (location: PostgresLocation): Promise<void> => {
  for (const name of await readdir(location.baseDirectory)) {
    if (!name.startsWith(HALF_DONE_PREFIX)) continue;
    await rm(join(location.baseDirectory, name), { recursive: true, force: true }).catch(() => undefined);
  }
};

const initialise = async (options: PrepareDataOptions, password: string): Promise<void> => {
  const { location, binaries, signal } = options;
  const { dataDirectory, baseDirectory, user } = location;
  const working = await mkdtemp(join(baseDirectory, HALF_DONE_PREFIX));
  const data = join(working, 'data');
  const passwordFile = join(working, 'password');
  try {
    await chmod(working, 0o700);
    await writeFile(passwordFile, password, { mode: 0o600 });
    if (user !== undefined) for (const path of [working, passwordFile]) await chown(path, user.uid, user.gid);
    const result = await runCommand({
      command: binaries.initdb,
      args: [
        ...['--pgdata', data, '--username', POSTGRES_USER, '--pwfile', passwordFile],
        ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--no-instructions'],
        // The built-in locale is the same on every machine; a system's own changes its order with its C library.
        ...['--locale', 'C', '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8'],
      ],
      workingDirectory: '/',
      environment: POSTGRES_ENVIRONMENT,
      user,
      timeoutMs: INITDB_TIMEOUT_MS,
      signal,
    });
    if (result.exitCode !== 0) {
      throw new Error(`PostgreSQL could not make its data directory: ${result.stderr.trim()}`);
    }
    await rename(data, dataDirectory);
  } finally {
    await rm(working, { recursive: true, force: true });
  }
};

/** PostgreSQL's single-user mode asks for no password and listens nowhere. */
const setPassword = async (options: PrepareDataOptions, password: string): Promise<void> => {
  const { location, binaries, signal } = options;
  const result = await runCommand({
    command: binaries.postgres,
    args: ['--single', '-D', location.dataDirectory, 'postgres'],
    workingDirectory: '/',
    environment: POSTGRES_ENVIRONMENT,
    user: location.user,
    input: `ALTER ROLE ${POSTGRES_USER} PASSWORD '${password}';\n`,
    timeoutMs: INITDB_TIMEOUT_MS,
    signal,
  });
  if (result.exitCode !== 0 || /\bERROR:/.test(result.stderr)) {
    throw new Error('the database could not be given a new password; is it damaged? See the logs folder of the home');
  }
};

/**
 * Deals with the `postmaster.pid` that a killed PostgreSQL leaves. One that still runs on this data is stopped. When
 * the process id belongs to somebody else now, which in a container is likely, PostgreSQL would refuse to start:
 * then the file is removed. PostgreSQL itself still notices by its shared memory when something uses the data.
 */
export const clearPostmasterPid = async (dataDirectory: string, log: (message: string) => void): Promise<void> => {
  const path = join(dataDirectory, 'postmaster.pid');
  const text = await readFile(path, 'utf8').catch(() => undefined);
  if (text === undefined) return;
  // A negative number is the single-user mode's.
  const pid = Math.abs(Number.parseInt(text, 10));
  const identity = Number.isInteger(pid) && pid > 0 ? identify(pid) : undefined;
  if (identity !== undefined && isPostgresOn(readCommandLine(pid), dataDirectory)) {
    log(`a PostgreSQL still runs on ${dataDirectory} (process ${pid}): stopping it`);
    await stopProcess({ identity, stopSignal: 'SIGINT', deadlineMs: POSTGRES_STOP_DEADLINE_MS });
    return;
  }
  await rm(path, { force: true });
};

const isPostgresOn = (commandLine: string, dataDirectory: string): boolean =>
  /\bpostgres\b/.test(commandLine) && ` ${commandLine} `.includes(` ${dataDirectory} `);
