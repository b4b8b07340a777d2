import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { z } from 'zod';

/**
 * One process of this machine for its whole life. A process id alone comes back after its owner has died
 * (in a container within minutes), so it travels together with a mark of when that process began.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Opaque; equal for as long as it is the same process. */
  readonly startedAt: string;
}

export const processIdentitySchema = z.object({ pid: z.int().positive(), startedAt: z.string().min(1) });

/**
 * The mark of the process that has this id now; `undefined` when there is none, or only a zombie that its
 * parent has not reaped (containers whose first process reaps nothing keep those for ever).
 *
 * Synchronous on purpose: a child's identity has to be on disk before anything else may run.
 */
export const readStartMarker = (pid: number): string | undefined =>
  process.platform === 'linux' ? readFromProc(pid) : readFromPs(pid);

export const identify = (pid: number): ProcessIdentity | undefined => {
  const startedAt = readStartMarker(pid);
  return startedAt === undefined ? undefined : { pid, startedAt };
};

export const isRunning = (identity: ProcessIdentity): boolean => readStartMarker(identity.pid) === identity.startedAt;

/** The command line of a process as one string; empty when it is gone or not readable. */
export const readCommandLine = (pid: number): string => {
  try {
    if (process.platform === 'linux') return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
    return runPs(pid, 'command=');
  } catch {
    return '';
  }
};

const readFromProc = (pid: number): string | undefined => {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses and may contain spaces and parentheses itself.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const state = fields[0];
    // proc_pid_stat(5): field 22, the start in clock ticks after boot; the state is field 3.
    const startTicks = fields[19];
    if (state === undefined || startTicks === undefined || state === 'Z' || state === 'X') return undefined;
    // Ticks count from boot: after a reboot another process may well have the same id and ticks.
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
    return `${bootId}/${startTicks}`;
  } catch {
    return undefined;
  }
};

const readFromPs = (pid: number): string | undefined => {
  try {
    const line = runPs(pid, 'stat=,lstart=');
    const [state, ...started] = line.split(/\s+/);
    return state === undefined || state.startsWith('Z') || started.length === 0 ? undefined : started.join(' ');
  } catch {
    return undefined;
  }
};

const runPs = (pid: number, columns: string): string => {
  const output = columns.split(',').flatMap((column) => ['-o', column]);
  return execFileSync('ps', [...output, '-p', String(pid)], {
    encoding: 'utf8',
    // The date is text: a change of language or time zone between two starts must not change it.
    env: { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' },
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
};
