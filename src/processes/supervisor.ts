import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { closeChildLog, openChildLog, readLogTail } from './child-log.js';
import { removePidFile, writePidFile } from './pid-file.js';
import type { StopSignal } from './pid-file.js';
import { identify } from './process-identity.js';
import { killGroup, sendSignal, stopLeftover } from './stop-process.js';

/** What to run and how to tell that it works. */
export interface ChildOptions {
  /** In messages and in status. */
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The child's whole environment: ours is not passed on, it may hold secrets that are none of the child's business. */
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
  /** Run as this user; only root may. */
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  /** Its output is appended here. */
  readonly logFile: string;
  /** Where the next start finds it when we are killed. */
  readonly pidFile: string;
  readonly stopSignal: StopSignal;
  /** How long an orderly stop may take before SIGKILL. */
  readonly stopDeadlineMs: number;
  /** One attempt to use the child; throws as long as it does not answer. */
  readonly probe: (signal: AbortSignal) => Promise<void>;
  /** How long the child may take until a probe succeeds. */
  readonly readyDeadlineMs: number;
  /** Runs before every start, for what a crash leaves behind. */
  readonly beforeStart?: () => Promise<void>;
  readonly restartDelay?: RestartDelay;
  readonly log: (message: string) => void;
}

/** The pause before a restart doubles from `minimumMs` up to `maximumMs`; up to half of it is taken off at random. */
export interface RestartDelay {
  readonly minimumMs: number;
  readonly maximumMs: number;
}

export type ChildState = 'starting' | 'ready' | 'restarting' | 'stopped';

export interface ChildStatus {
  readonly name: string;
  readonly state: ChildState;
  /** How often it was started again after it had died or had not become ready. */
  readonly restarts: number;
  readonly pid: number | undefined;
  /** Why it is not ready, or why it was started again last. */
  readonly lastError: string | undefined;
}

/** A child process that is kept running until it is told to stop. */
export interface SupervisedChild {
  readonly status: () => ChildStatus;
  /** Stops the child in good order and resolves when it is gone. Any number of calls is one stop. */
  readonly stop: () => Promise<void>;
}

const DEFAULT_RESTART_DELAY: RestartDelay = { minimumMs: 200, maximumMs: 5_000 };
const PROBE_INTERVAL_MS = 50;
/** A child that ran this long was well: the next restart begins with the shortest pause again. */
const STEADY_AFTER_MS = 30_000;

interface RunningChild {
  readonly pid: number;
  readonly logOffset: number;
  /** Resolves with how it ended; never rejects. */
  readonly ended: Promise<string>;
  /** Aborted at the end, for whoever waits for something the child will no longer do. */
  readonly endedSignal: AbortSignal;
  /** Asks it to end, kills it when that takes too long, and resolves when it is gone. */
  readonly end: () => Promise<void>;
}

/**
 * Starts a child, after what an earlier start left running has been stopped, and resolves when it is ready. It
 * rejects when the child ends before or is not ready in time: a first start that fails is for the user to see. From then on a
 * child that dies is started again with the same arguments, for ever, with a growing pause.
 *
 * The child leads a process group of its own, so that Ctrl-C in the terminal reaches us alone and the order of
 * stopping is ours. `abortSignal` breaks off the first start.
 */
export const startSupervisedChild = async (
  options: ChildOptions,
  abortSignal?: AbortSignal,
): Promise<SupervisedChild> => {
  const { name, log } = options;
  const restartDelay = options.restartDelay ?? DEFAULT_RESTART_DELAY;
  const stopController = new AbortController();
  let state: ChildState = 'starting';
  let restarts = 0;
  let lastError: string | undefined;
  let current: RunningChild | undefined;

  // An exit of ours that skips the orderly stop (an uncaught exception) must not leave the child behind.
  const stopAtExit = (): void => {
    if (current !== undefined) sendSignal(current.pid, options.stopSignal);
  };

  const startOnce = async (signal: AbortSignal): Promise<RunningChild> => {
    await options.beforeStart?.();
    signal.throwIfAborted();
    const child = await spawnChild(options);
    current = child;
    try {
      await waitUntilReady(options, child, signal);
      return child;
    } catch (error) {
      await child.end();
      current = undefined;
      throw error;
    }
  };

  const watch = async (first: RunningChild): Promise<void> => {
    let child: RunningChild | undefined = first;
    let readyAt = performance.now();
    let failures = 0;
    for (;;) {
      if (child !== undefined) {
        const reason = await child.ended;
        current = undefined;
        if (stopController.signal.aborted) return;
        if (performance.now() - readyAt > STEADY_AFTER_MS) failures = 0;
        lastError = reason;
      }
      state = 'restarting';
      const pauseMs = pauseBeforeRestart(restartDelay, failures);
      failures += 1;
      log(`${name} ended (${lastError ?? 'no reason known'}): starting it again in ${Math.round(pauseMs)} ms`);
      try {
        await delay(pauseMs, undefined, { signal: stopController.signal });
        restarts += 1;
        child = await startOnce(stopController.signal);
        readyAt = performance.now();
        state = 'ready';
        log(`${name} is ready again`);
      } catch (error) {
        if (stopController.signal.aborted) return;
        child = undefined;
        lastError = describe(error);
      }
    }
  };

  await stopLeftover({ pidFile: options.pidFile, deadlineMs: options.stopDeadlineMs, log });
  process.once('exit', stopAtExit);
  let watching: Promise<void>;
  try {
    const first = await startOnce(abortSignal ?? new AbortController().signal);
    state = 'ready';
    watching = watch(first);
  } catch (error) {
    process.removeListener('exit', stopAtExit);
    throw error;
  }

  let stopping: Promise<void> | undefined;
  const stopNow = async (): Promise<void> => {
    stopController.abort();
    await current?.end();
    await watching;
    process.removeListener('exit', stopAtExit);
    state = 'stopped';
  };

  return {
    status: () => ({ name, state, restarts, pid: current?.pid, lastError }),
    stop: () => (stopping ??= stopNow()),
  };
};

const spawnChild = async (options: ChildOptions): Promise<RunningChild> => {
  const { name, command, args, user } = options;
  const logHandle = openChildLog(options.logFile);
  try {
    const child = spawn(command, args, {
      cwd: options.workingDirectory,
      env: options.environment,
      detached: true,
      stdio: ['ignore', logHandle.descriptor, logHandle.descriptor],
      ...(user ?? {}),
    });
    const { pid } = child;
    if (pid === undefined) throw await spawnFailure(name, child);
    const controller = new AbortController();
    const ended = new Promise<string>((resolve) => {
      child.once('exit', (code, signal) => {
        removePidFile(options.pidFile);
        controller.abort();
        resolve(signal === null ? `exit code ${code ?? 'unknown'}` : `signal ${signal}`);
      });
    });
    const identity = identify(pid);
    // Without an identity it has died already; the exit event follows.
    if (identity !== undefined) {
      writePidFile(options.pidFile, { ...identity, name, command: [command, ...args], stopSignal: options.stopSignal });
    }
    let ending: Promise<void> | undefined;
    return {
      pid,
      logOffset: logHandle.offset,
      ended,
      endedSignal: controller.signal,
      end: () => (ending ??= endChild(options, pid, ended, controller.signal)),
    };
  } finally {
    closeChildLog(logHandle);
  }
};

const spawnFailure = (name: string, child: ChildProcess): Promise<Error> =>
  new Promise((resolve) => {
    child.once('error', (error) => {
      resolve(new Error(`${name} cannot be started: ${error.message}`, { cause: error }));
    });
  });

const waitUntilReady = async (options: ChildOptions, child: RunningChild, signal: AbortSignal): Promise<void> => {
  const { name, logFile, readyDeadlineMs } = options;
  const deadline = AbortSignal.timeout(readyDeadlineMs);
  const giveUp = AbortSignal.any([signal, deadline, child.endedSignal]);
  let lastProbeError = 'no attempt was made';
  while (!giveUp.aborted) {
    try {
      await options.probe(giveUp);
      return;
    } catch (error) {
      lastProbeError = describe(error);
    }
    // Rejects when it is time to give up, and the loop ends.
    await delay(PROBE_INTERVAL_MS, undefined, { signal: giveUp }).catch(() => undefined);
  }
  signal.throwIfAborted();
  if (child.endedSignal.aborted) {
    const output = readLogTail(logFile, child.logOffset);
    throw new Error(`${name} ended before it was ready (${await child.ended}); ${logFile} says: ${output}`);
  }
  throw new Error(`${name} was not ready within ${readyDeadlineMs} ms (${lastProbeError}); see ${logFile}`);
};

const endChild = async (
  options: ChildOptions,
  pid: number,
  ended: Promise<string>,
  endedSignal: AbortSignal,
): Promise<void> => {
  if (endedSignal.aborted) return;
  sendSignal(pid, options.stopSignal);
  const killTimer = setTimeout(() => {
    options.log(`${options.name} did not stop within ${options.stopDeadlineMs} ms and is killed`);
    killGroup(pid);
  }, options.stopDeadlineMs);
  await ended;
  clearTimeout(killTimer);
};

const pauseBeforeRestart = (restartDelay: RestartDelay, failures: number): number => {
  const full = Math.min(restartDelay.maximumMs, restartDelay.minimumMs * 2 ** failures);
  return full * (0.5 + Math.random() / 2);
};

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));
