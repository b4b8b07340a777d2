import { randomBytes } from 'node:crypto';
import * as nodeFileSystem from 'node:fs/promises';
import { join } from 'node:path';
import { GatewayError } from '../domain/errors.js';
import { checkContentId, isContentId } from './content-id.js';
import { ignore, onDisk, removeOlder, type FileSystem } from './disk.js';
import type { FileStore, StoreEntry } from './file-store.js';
import { receiveContent } from './receive-content.js';

export interface LocalFileStoreOptions {
  readonly fileSystem?: FileSystem;
  /** Temporary files older than this, left by a crash, are removed at the start; a day where not given. */
  readonly staleAfterMs?: number;
}

const DAY_MS = 24 * 60 * 60 * 1_000;

/**
 * File content on a local or shared disk: `content/<xx>/<id>`, written under a temporary name in `incoming`, synced and then
 * renamed, so that a file is there whole or not at all, also after a power cut.
 */
export async function createLocalFileStore(directory: string, options: LocalFileStoreOptions = {}): Promise<FileStore> {
  const disk = options.fileSystem ?? nodeFileSystem;
  const incoming = join(directory, 'incoming');
  const contents = join(directory, 'content');
  const shardOf = (id: string): string => join(contents, checkContentId(id).slice(-2).toLowerCase());
  const pathOf = (id: string): string => join(shardOf(id), id);
  const temporaryPath = (id: string): string => join(incoming, `${id}.${randomBytes(6).toString('hex')}`);
  const removeAbandoned = (begunBefore: Date): Promise<number> =>
    onDisk(() => removeOlder(disk, incoming, begunBefore));

  await onDisk(async () => {
    await disk.mkdir(contents, { recursive: true, mode: 0o700 });
    await disk.mkdir(incoming, { recursive: true, mode: 0o700 });
  });
  await removeAbandoned(new Date(Date.now() - (options.staleAfterMs ?? DAY_MS)));

  return {
    async put(id, content, { maxBytes, signal }) {
      const path = pathOf(id);
      const temporary = temporaryPath(id);
      const handle = await onDisk(() => disk.open(temporary, 'wx', 0o600));
      try {
        const stored = await receiveContent(handle, content, { maxBytes, signal });
        await onDisk(async () => {
          await handle.sync();
          await handle.close();
          await disk.mkdir(shardOf(id), { recursive: true, mode: 0o700 });
          await disk.rename(temporary, path);
          await syncDirectory(disk, shardOf(id));
          await syncDirectory(disk, contents);
        });
        return stored;
      } catch (error) {
        await handle.close().catch(ignore);
        await disk.rm(temporary, { force: true }).catch(ignore);
        throw error;
      }
    },
    async open(id, range) {
      const handle = await onDisk(() => disk.open(pathOf(id), 'r'), id);
      return handle.createReadStream(range === undefined ? {} : { start: range.start, end: range.end });
    },
    async sizeBytes(id) {
      try {
        return (await onDisk(() => disk.stat(pathOf(id)), id)).size;
      } catch (error) {
        if (error instanceof GatewayError && error.code === 'file_content_missing') return null;
        throw error;
      }
    },
    async delete(id) {
      const path = pathOf(id);
      await onDisk(() => disk.rm(path, { force: true }));
    },
    list: (signal) => listContents(disk, contents, signal),
    removeAbandoned,
    async check() {
      const temporary = temporaryPath('check');
      await onDisk(async () => {
        const handle = await disk.open(temporary, 'wx+', 0o600);
        try {
          await handle.write(Buffer.from('check'));
          await handle.sync();
          await handle.read(Buffer.alloc(5), 0, 5, 0);
        } finally {
          await handle.close();
          await disk.rm(temporary, { force: true });
        }
      });
    },
  };
}

async function* listContents(
  disk: FileSystem,
  contents: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoreEntry, void, undefined> {
  for (const shard of await onDisk(() => disk.readdir(contents))) {
    // Something foreign that is no directory has nothing of ours in it.
    const names = await onDisk(() => disk.readdir(join(contents, shard)).catch(unless('ENOTDIR', 'ENOENT')));
    for (const id of names ?? []) {
      signal?.throwIfAborted();
      if (!isContentId(id)) continue;
      const state = await onDisk(() => disk.stat(join(contents, shard, id)).catch(unless('ENOENT')));
      if (state?.isFile() === true) yield { id, modifiedAt: state.mtime };
    }
  }
}

/** What was there a moment ago and is gone is no failure of the disk. */
function unless(...codes: readonly string[]): (error: unknown) => null {
  return (error) => {
    if (error instanceof Error && 'code' in error && codes.some((code) => code === error.code)) return null;
    throw error;
  };
}

/** A rename is durable only once its directory is. */
async function syncDirectory(disk: FileSystem, path: string): Promise<void> {
  const handle = await disk.open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
