import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { until } from './until.js';

export interface ProcessEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly tookMs: number;
}

/** A `tunesmith` command that runs as a process of its own. */
export interface RunningProcess {
  readonly pid: number;
  /** What it has written so far, both streams in order of arrival. */
  output(): string;
  hasEnded(): boolean;
  /** Ends well when the process has; `tookMs` counts from the call. */
  ended(): Promise<ProcessEnd>;
  /** Sends a signal to this process alone. */
  kill(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL where that does not help. */
  stop(): Promise<ProcessEnd>;
}

export const PROGRAM = fileURLToPath(new URL('../../dist/src/main.js', import.meta.url));
const STOP_WITHIN_MS = 20_000;
const PASSED_ON = ['PATH', 'HOME', 'XDG_CACHE_HOME', 'TMPDIR', 'LANG'];

/** Processes of this test file that are still running: none outlives it, however it ends. */
const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

/** Starts a command of the built product; nothing of this process's environment but what every program needs. */
export function startProcess(
  commandLine: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): RunningProcess {
  if (!existsSync(PROGRAM)) throw new Error('The product is not built: run `npm run build` first.');
  const inherited = PASSED_ON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]));
  const child = spawn(process.execPath, [PROGRAM, ...commandLine], {
    env: { ...Object.fromEntries(inherited), ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('the process did not start');
  running.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = new Promise<Omit<ProcessEnd, 'tookMs'>>((resolve) => {
    child.once('exit', (code, signal) => {
      running.delete(child);
      resolve({ code, signal });
    });
  });
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const whenEnded = async (): Promise<ProcessEnd> => {
    const calledAtMs = performance.now();
    const end = await ended;
    return { ...end, tookMs: performance.now() - calledAtMs };
  };
  return {
    pid,
    output: () => output,
    hasEnded,
    ended: whenEnded,
    kill: (signal) => void child.kill(signal),
    async stop() {
      if (!hasEnded()) child.kill('SIGTERM');
      const giveUp = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
      const end = await whenEnded();
      clearTimeout(giveUp);
      return end;
    },
  };
}

/** Runs a command to its end. */
export async function runToEnd(
  commandLine: readonly string[],
  environment: Readonly<Record<string, string>> = {},
): Promise<ProcessEnd & { readonly output: string }> {
  const child = startProcess(commandLine, environment);
  const giveUp = setTimeout(() => child.kill('SIGKILL'), 60_000);
  const end = await child.ended();
  clearTimeout(giveUp);
  return { ...end, output: child.output() };
}

/** Waits until a running process has written something that matches, and answers the match. */
export function outputOf(child: RunningProcess, pattern: RegExp): Promise<RegExpExecArray> {
  return until(`${pattern.source} in the output of process ${child.pid}`, () => {
    const match = pattern.exec(child.output());
    if (match === null && child.hasEnded()) throw new Error(`it ended:\n${child.output()}`);
    return match;
  });
}
