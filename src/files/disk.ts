import type * as nodeFileSystem from 'node:fs/promises';
import { GatewayError } from '../domain/errors.js';

/** The calls made on the disk; replaced in tests by one that is full or broken. */
export type FileSystem = Pick<typeof nodeFileSystem, 'mkdir' | 'open' | 'readdir' | 'rename' | 'rm' | 'stat'>;

const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/** A failure of the disk in our words. `missingId`: "not there" is about the content of this file. */
export async function onDisk<Result>(action: () => Promise<Result>, missingId?: string): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
    if (code === null || error instanceof GatewayError) throw error;
    if (FULL.has(code)) {
      throw new GatewayError('storage_full', 'The file store is full; nothing of the file was kept.', { cause: error });
    }
    if (code === 'ENOENT' && missingId !== undefined) {
      throw new GatewayError('file_content_missing', `The content of ${missingId} is not in the file store.`, {
        cause: error,
      });
    }
    throw new GatewayError('storage_unavailable', 'The file store does not answer. Try again shortly.', {
      cause: error,
    });
  }
}

/** Removes files of a directory that were changed last before then, and that `isOurs` by their names; answers how many. */
export async function removeOlder(
  disk: FileSystem,
  directory: string,
  before: Date,
  isOurs: (name: string) => boolean = () => true,
): Promise<number> {
  let removed = 0;
  for (const name of await disk.readdir(directory)) {
    if (!isOurs(name)) continue;
    const path = `${directory}/${name}`;
    // Whoever writes it, or another gateway on the same disk, may finish or remove it meanwhile.
    const state = await disk.stat(path).catch(() => null);
    if (state === null || !state.isFile() || state.mtimeMs >= before.getTime()) continue;
    await disk.rm(path, { force: true });
    removed += 1;
  }
  return removed;
}

/** For failures while cleaning up: the first error is the one to tell. */
export function ignore(): void {
  // Nothing to do.
}
