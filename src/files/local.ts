import { createHash, randomBytes } from 'node:crypto';
import * as nodeFileSystem from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { GatewayError } from '../domain/errors.js';
import type { FileStore } from './file-store.js';

/** The calls made on the disk; replaced in tests by one that is full or broken. */
export type FileSystem = Pick<typeof nodeFileSystem, 'mkdir' | 'open' | 'readdir' | 'rename' | 'rm' | 'stat'>;

export interface LocalFileStoreOptions {
  readonly fileSystem?: FileSystem;
  /** Temporary files older than this, left by a crash, are removed at the start; a day where not given. */
  readonly staleAfterMs?: number;
}

const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$/;
const DAY_MS = 24 * 60 * 60 * 1_000;
/** Small chunks are gathered to this size, so that a slow client does not cost a write for each byte. */
const WRITE_BYTES = 256 * 1024;
const FULL = new Set(['ENOSPC', 'EDQUOT', 'EFBIG']);

/**
 * File content on a local or shared disk: `content/<xx>/<id>`, written under a temporary name in `incoming`, synced and then
 * renamed, so that a file is there whole or not at all, also after a power cut.
 */
export async function createLocalFileStore(directory: string, options: LocalFileStoreOptions = {}): Promise<FileStore> {
  const disk = options.fileSystem ?? nodeFileSystem;
  const incoming = join(directory, 'incoming');
  const shardOf = (id: string): string => join(directory, 'content', checkId(id).slice(-2).toLowerCase());
  const pathOf = (id: string): string => join(shardOf(id), id);
  const temporaryPath = (id: string): string => join(incoming, `${id}.${randomBytes(6).toString('hex')}`);

  await onDisk(async () => {
    await disk.mkdir(join(directory, 'content'), { recursive: true, mode: 0o700 });
    await disk.mkdir(incoming, { recursive: true, mode: 0o700 });
    await removeStale(disk, incoming, options.staleAfterMs ?? DAY_MS);
  });

  return {
    async put(id, content, { maxBytes, signal }) {
      const path = pathOf(id);
      const temporary = temporaryPath(id);
      const handle = await onDisk(() => disk.open(temporary, 'wx', 0o600));
      try {
        const stored = await write(handle, content, maxBytes, signal);
        await onDisk(async () => {
          await handle.sync();
          await handle.close();
          await disk.mkdir(shardOf(id), { recursive: true, mode: 0o700 });
          await disk.rename(temporary, path);
          await syncDirectory(disk, shardOf(id));
          await syncDirectory(disk, join(directory, 'content'));
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

async function write(
  handle: FileHandle,
  content: AsyncIterable<Uint8Array>,
  maxBytes: number,
  signal: AbortSignal | undefined,
): Promise<{ sizeBytes: number; sha256: string }> {
  const hash = createHash('sha256');
  const iterator = content[Symbol.asyncIterator]();
  let sizeBytes = 0;
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  const flush = async (): Promise<void> => {
    const bytes = Buffer.concat(pending, pendingBytes);
    pending = [];
    pendingBytes = 0;
    for (let offset = 0; offset < bytes.length;) {
      offset += (await onDisk(() => handle.write(bytes, offset, bytes.length - offset))).bytesWritten;
    }
  };
  try {
    for (;;) {
      const next = await nextOrAbort(iterator, signal);
      if (next.done === true) break;
      sizeBytes += next.value.byteLength;
      if (sizeBytes > maxBytes) {
        throw new GatewayError('payload_too_large', `The file is over the limit of ${maxBytes} bytes.`, {
          param: 'file',
        });
      }
      hash.update(next.value);
      pending.push(next.value);
      pendingBytes += next.value.byteLength;
      if (pendingBytes >= WRITE_BYTES) await flush();
    }
    await flush();
  } catch (error) {
    // Not awaited: a source that never answers must not hold up the clean-up.
    void Promise.resolve(iterator.return?.()).catch(ignore);
    throw error;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

/** The next chunk, or the signal's reason at once, even while the source is silent. */
function nextOrAbort(
  iterator: AsyncIterator<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<IteratorResult<Uint8Array>> {
  if (signal === undefined) return iterator.next();
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      reject(signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason }));
    };
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    void iterator
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
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

async function removeStale(disk: FileSystem, incoming: string, staleAfterMs: number): Promise<void> {
  const oldest = Date.now() - staleAfterMs;
  for (const name of await disk.readdir(incoming)) {
    const path = join(incoming, name);
    // Another gateway on the same disk may finish or remove it meanwhile.
    const state = await disk.stat(path).catch(() => null);
    if (state !== null && state.mtimeMs < oldest) await disk.rm(path, { force: true });
  }
}

function checkId(id: string): string {
  // Ids are made by us; the check is the last line against one that came from a path.
  if (!ID.test(id)) throw new Error('not a file id');
  return id;
}

/** A failure of the disk in our words. `missingId`: "not there" is about the content of this file. */
async function onDisk<Result>(action: () => Promise<Result>, missingId?: string): Promise<Result> {
  try {
    return await action();
  } catch (error) {
    const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
    if (code === null) throw error;
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

function ignore(): void {
  // The first error is the one to tell.
}
