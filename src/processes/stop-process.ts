import { setTimeout as delay } from 'node:timers/promises';
import { readPidFile, removePidFile } from './pid-file.js';
import type { StopSignal } from './pid-file.js';
import { isRunning } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

const CHECK_INTERVAL_MS = 25;
const KILL_DEADLINE_MS = 5_000;

export interface StopProcessOptions {
  readonly identity: ProcessIdentity;
  /** What asks the process to end in good order. */
  readonly stopSignal: StopSignal;
  /** How long it may take before it is killed with its process group. */
  readonly deadlineMs: number;
}

/** Sends a signal and swallows that the process is gone already; a refusal (`EPERM`) is thrown. */
export const sendSignal = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ESRCH') return;
    throw error;
  }
};

/**
 * Stops a process that is not necessarily a child of ours: asks, waits, kills. Resolves when it is gone, with
 * `killed` when asking did not do; throws when it does not even yield to SIGKILL.
 */
export const stopProcess = async (options: StopProcessOptions): Promise<'ended' | 'killed'> => {
  const { identity, stopSignal, deadlineMs } = options;
  if (!isRunning(identity)) return 'ended';
  sendSignal(identity.pid, stopSignal);
  if (await goneWithin(identity, deadlineMs)) return 'ended';
  killGroup(identity.pid);
  if (await goneWithin(identity, KILL_DEADLINE_MS)) return 'killed';
  throw new Error(`process ${identity.pid} does not end, not even by SIGKILL`);
};

/** Kills a child that leads its own process group, and what it has started itself. */
export const killGroup = (pid: number): void => {
  sendSignal(-pid, 'SIGKILL');
  sendSignal(pid, 'SIGKILL');
};

const goneWithin = async (identity: ProcessIdentity, deadlineMs: number): Promise<boolean> => {
  const end = performance.now() + deadlineMs;
  while (isRunning(identity)) {
    if (performance.now() >= end) return false;
    await delay(CHECK_INTERVAL_MS);
  }
  return true;
};

export interface StopLeftoverOptions {
  readonly pidFile: string;
  readonly deadlineMs: number;
  readonly log: (message: string) => void;
}

/**
 * Stops what an earlier start left running when it was killed, and removes its pid file. A process that merely
 * has the same id now is left alone. Returns whether there was one to stop.
 */
export const stopLeftover = async (options: StopLeftoverOptions): Promise<boolean> => {
  const { pidFile, deadlineMs, log } = options;
  const content = readPidFile(pidFile);
  if (content === undefined || !isRunning(content)) {
    removePidFile(pidFile);
    return false;
  }
  log(`${content.name} of an earlier start still runs (process ${content.pid}): stopping it`);
  const how = await stopProcess({ identity: content, stopSignal: content.stopSignal, deadlineMs });
  if (how === 'killed') log(`${content.name} (process ${content.pid}) did not stop when asked and was killed`);
  removePidFile(pidFile);
  return true;
};
