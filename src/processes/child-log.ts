import { closeSync, mkdirSync, openSync, readSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';

const ROTATE_AT_BYTES = 10 * 1024 * 1024;
const TAIL_BYTES = 2_000;

/** Where a child's output goes: a file and not a pipe, so that it can go on writing when its parent is killed. */
export interface ChildLog {
  readonly descriptor: number;
  /** The length of the file when it was opened: what follows is of this start. */
  readonly offset: number;
}

/** Opens the log of a child to append; one above 10 MiB is put aside as `<path>.1` first. */
export const openChildLog = (path: string): ChildLog => {
  mkdirSync(dirname(path), { recursive: true });
  if (sizeOf(path) > ROTATE_AT_BYTES) renameSync(path, `${path}.1`);
  const offset = sizeOf(path);
  return { descriptor: openSync(path, 'a', 0o600), offset };
};

export const closeChildLog = (log: ChildLog): void => closeSync(log.descriptor);

/** The end of what was written after `offset`, at most the last 2,000 bytes; empty when it cannot be read. */
export const readLogTail = (path: string, offset: number): string => {
  try {
    const size = sizeOf(path);
    const from = Math.max(offset, size - TAIL_BYTES);
    const buffer = Buffer.alloc(Math.max(0, size - from));
    const descriptor = openSync(path, 'r');
    try {
      const read = readSync(descriptor, buffer, 0, buffer.length, from);
      return buffer.subarray(0, read).toString('utf8').trim();
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return '';
  }
};

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0;
