import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { identify, isRunning, processIdentitySchema } from './process-identity.js';
import type { ProcessIdentity } from './process-identity.js';

/** Held until `release`, or until this process is gone in whatever way. */
export interface ProcessLock {
  readonly kind: 'acquired';
  release(): void;
}

export interface ProcessLockRefusal {
  readonly kind: 'held';
  readonly holderPid: number;
}

/** A file that its maker has created and not yet filled; older than this, its maker was killed in between. */
const EMPTY_FILE_PATIENCE_MS = 1_000;

/**
 * Takes a lock that belongs to one process of this machine.
 *
 * Each holder has a file of its own, `<path>.<n>`, and the highest `n` counts. Taking over from a dead holder is
 * creating the next number, which only one process can do. Removing a dead holder's file to make it anew would
 * not be safe: two processes that both saw it may remove each other's. The last file stays at release (marked by
 * the death or the release of its owner), so that numbers never start again.
 */
export const acquireProcessLock = async (path: string): Promise<ProcessLock | ProcessLockRefusal> => {
  mkdirSync(dirname(path), { recursive: true });
  const own = identify(process.pid);
  if (own === undefined) throw new Error('this process cannot be identified: neither /proc nor ps works');
  for (;;) {
    const numbers = listNumbers(path);
    const highest = numbers.at(-1) ?? 0;
    const holder = highest === 0 ? undefined : await readHolder(`${path}.${highest}`);
    if (holder === 'gone') continue;
    if (holder !== undefined && isRunning(holder)) return { kind: 'held', holderPid: holder.pid };
    const file = `${path}.${highest + 1}`;
    if (!createExclusively(file, own)) continue;
    // Somebody who was faster may have gone on to a higher number and removed what lay between.
    const after = listNumbers(path);
    if ((after.at(-1) ?? 0) > highest + 1) {
      rmSync(file, { force: true });
      continue;
    }
    for (const number of after) if (number <= highest) rmSync(`${path}.${number}`, { force: true });
    return {
      kind: 'acquired',
      release: () => {
        if (existsSync(file)) writeFileSync(file, RELEASED);
      },
    };
  }
};

const RELEASED = '"released"\n';

const listNumbers = (path: string): readonly number[] => {
  const prefix = `${basename(path)}.`;
  return readdirSync(dirname(path))
    .filter((name) => name.startsWith(prefix) && /^[1-9]\d*$/.test(name.slice(prefix.length)))
    .map((name) => Number(name.slice(prefix.length)))
    .sort((left, right) => left - right);
};

const createExclusively = (file: string, own: ProcessIdentity): boolean => {
  try {
    writeFileSync(file, JSON.stringify(own), { flag: 'wx', mode: 0o644 });
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return false;
    throw error;
  }
};

const readHolder = async (file: string): Promise<ProcessIdentity | undefined | 'gone'> => {
  const end = performance.now() + EMPTY_FILE_PATIENCE_MS;
  for (;;) {
    let text: string;
    try {
      text = readFileSync(file, 'utf8');
    } catch {
      return 'gone';
    }
    if (text !== '' || performance.now() >= end) return parseHolder(text);
    await delay(20);
  }
};

const parseHolder = (text: string): ProcessIdentity | undefined => {
  try {
    const parsed: unknown = JSON.parse(text);
    return processIdentitySchema.safeParse(parsed).data;
  } catch {
    return undefined;
  }
};
