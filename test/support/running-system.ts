import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { isRunning } from '../../src/processes/process-identity.js';
import { readPidFile } from '../../src/processes/pid-file.js';
import { startProcess, type ProcessEnd, type RunningProcess } from './running-process.js';
import { until } from './until.js';

const readySchema = z.strictObject({
  url: z.url(),
  dashboardUrl: z.url().nullable(),
  temporalAddress: z.string(),
  temporalUiUrl: z.url().nullable(),
  databaseUrl: z.string(),
  emulatorsUrl: z.url(),
  vertexGrpcAddress: z.string().nullable(),
  azureLoginUrl: z.url().nullable(),
  pid: z.int(),
  version: z.string(),
});

export type ChildName = 'temporal' | 'postgres' | 'emulators';
const CHILDREN: readonly ChildName[] = ['temporal', 'postgres', 'emulators'];

/** Where a system can be reached; of this start. */
export interface SystemAddresses {
  readonly url: string;
  readonly apiKey: string;
  readonly emulatorsUrl: string;
  readonly temporalAddress: string;
  /** With its password. */
  readonly databaseUrl: string;
}

/** A whole `tunesmith up`, as a process with children, in a home of its own. */
export interface RunningSystem {
  readonly home: string;
  /** Of the start that runs now: they change with every one. */
  readonly addresses: () => SystemAddresses;
  readonly process: () => RunningProcess;
  /** The process id of a child, from its pid file. */
  readonly childPid: (name: ChildName) => number;
  /** SIGKILL for the parent; its children go on, as after a crash. */
  readonly kill9: () => Promise<void>;
  /** SIGTERM, and the parent's end. */
  readonly stop: () => Promise<ProcessEnd>;
  /** Starts again in the same home. */
  readonly start: () => Promise<void>;
  /** Ends everything and removes the home. */
  readonly dispose: () => Promise<void>;
}

export interface StartSystemOptions {
  readonly environment?: Readonly<Record<string, string>>;
}

const READY_WITHIN_MS = 60_000;

/** What makes a start of its own in any directory: free ports, short intervals. */
export function systemEnvironment(home: string): Record<string, string> {
  return {
    TUNESMITH_HOME: home,
    PORT: '0',
    TEMPORAL_PORT: '0',
    TEMPORAL_UI_PORT: '0',
    EMULATORS_PORT: '0',
    POLL_INTERVAL_SCALE: '0.1',
  };
}

/** A new directory that PostgreSQL can enter where we are root. */
export async function newHome(): Promise<string> {
  const home = await mkdtemp(join(tmpdir(), 'tunesmith-test-'));
  await chmod(home, 0o755);
  return home;
}

/** Starts a whole system and waits until it is ready. Dispose of it, whatever happens. */
export async function startSystem(options: StartSystemOptions = {}): Promise<RunningSystem> {
  const home = await newHome();
  const environment: Readonly<Record<string, string>> = { ...systemEnvironment(home), ...options.environment };
  let current: RunningProcess = startProcess(['up'], environment);
  let addresses: SystemAddresses;
  let wasEnded = false;
  const dispose = async (): Promise<void> => {
    const crashed = current.hasEnded() && !wasEnded;
    await current.stop();
    killLeftovers(home);
    await rm(home, { recursive: true, force: true });
    if (crashed) throw new Error(`The system ended by itself:\n${current.output()}`);
  };
  try {
    addresses = await whenReady(environment, current);
  } catch (error) {
    wasEnded = true;
    await dispose();
    throw error;
  }
  return {
    home,
    addresses: () => addresses,
    process: () => current,
    childPid(name) {
      const pid = readPidFile(pidFile(home, name))?.pid;
      if (pid === undefined) throw new Error(`${name} has no pid file`);
      return pid;
    },
    async kill9() {
      wasEnded = true;
      current.kill('SIGKILL');
      await current.ended();
    },
    stop() {
      wasEnded = true;
      return current.stop();
    },
    async start() {
      if (!current.hasEnded()) throw new Error('it runs already');
      wasEnded = false;
      current = startProcess(['up'], environment);
      addresses = await whenReady(environment, current);
    },
    dispose,
  };
}

async function whenReady(
  environment: Readonly<Record<string, string>>,
  child: RunningProcess,
): Promise<SystemAddresses> {
  const home = environment['TUNESMITH_HOME'] ?? '';
  const ready = await until(
    'ready.json of this start',
    async () => {
      if (child.hasEnded()) return 'ended' as const;
      const parsed = readySchema.parse(JSON.parse(await readFile(join(home, 'ready.json'), 'utf8')));
      return parsed.pid === child.pid && parsed;
    },
    { deadlineMs: READY_WITHIN_MS },
  );
  if (ready === 'ended') throw new Error(`The start ended before it was ready:\n${child.output()}`);
  const databaseUrl = new URL(ready.databaseUrl);
  databaseUrl.password = (await readFile(join(home, 'postgres-password'), 'utf8')).trim();
  return {
    url: ready.url,
    apiKey: environment['TUNESMITH_API_KEY'] ?? (await readFile(join(home, 'api-key'), 'utf8')).trim(),
    emulatorsUrl: ready.emulatorsUrl,
    temporalAddress: ready.temporalAddress,
    databaseUrl: databaseUrl.toString(),
  };
}

const pidFile = (home: string, name: ChildName): string => join(home, `${name}.pid.json`);

/** Children of a parent that was killed. */
function killLeftovers(home: string): void {
  for (const name of CHILDREN) {
    const child = readPidFile(pidFile(home, name));
    if (child === undefined || !isRunning(child)) continue;
    // A stopped process takes no signal but this one.
    process.kill(child.pid, 'SIGKILL');
  }
}
