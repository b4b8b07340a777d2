import { randomBytes } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { checkContentId } from './content-id.js';
import { ignore, onDisk, removeOlder, type FileSystem } from './disk.js';
import type { StoredContent } from './file-store.js';
import { receiveContent, type ReceiveOptions } from './receive-content.js';

/** Content that is whole, on this machine's disk. */
export interface SpooledContent extends StoredContent {
  /** From the start, as often as wanted, until `use` ends. */
  read(): Readable;
}

/**
 * A directory where content waits on its way to somewhere else, so that a slow client holds neither memory nor a
 * connection there.
 */
export interface Spool {
  /** Receives content, has it used, and lets it go, however that ended. */
  hold<Result>(
    id: string,
    content: AsyncIterable<Uint8Array>,
    options: ReceiveOptions,
    use: (spooled: SpooledContent) => Promise<Result>,
  ): Promise<Result>;
  /** Files that a crash left, changed last before then; answers how many there were. */
  removeStale(before: Date): Promise<number>;
  /** Ends well when content can be written there now. */
  check(): Promise<void>;
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,127}\.[0-9a-f]{12}\.spool$/;
const READ_BYTES = 64 * 1024;

/** Makes the directory, for this user alone, and removes what a crash left in it. */
export async function createSpool(directory: string, disk: FileSystem): Promise<Spool> {
  const removeStale = (before: Date): Promise<number> =>
    onDisk(() => removeOlder(disk, directory, before, (name) => NAME.test(name)));
  /** The file has no name any more once it is open: whatever ends this process frees its space. */
  const open = (id: string): Promise<FileHandle> =>
    onDisk(async () => {
      const path = join(directory, `${checkContentId(id)}.${randomBytes(6).toString('hex')}.spool`);
      const handle = await disk.open(path, 'wx+', 0o600);
      try {
        await disk.rm(path, { force: true });
        return handle;
      } catch (error) {
        await handle.close().catch(ignore);
        throw error;
      }
    });

  await onDisk(() => disk.mkdir(directory, { recursive: true, mode: 0o700 }));
  await removeStale(new Date());

  return {
    async hold(id, content, options, use) {
      const handle = await open(id);
      try {
        const stored = await receiveContent(handle, content, options);
        return await use({ ...stored, read: () => readOpenFile(handle, stored.sizeBytes) });
      } finally {
        await handle.close().catch(ignore);
      }
    },
    removeStale,
    async check() {
      const handle = await open('check');
      try {
        await onDisk(() => handle.write(Buffer.from('check')));
      } finally {
        await handle.close().catch(ignore);
      }
    },
  };
}

/** Unlike a stream of `node:fs` it leaves the file open, and several at once do not share a position. */
function readOpenFile(handle: FileHandle, sizeBytes: number): Readable {
  async function* read(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let position = 0; position < sizeBytes;) {
      const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, sizeBytes - position));
      const { bytesRead } = await onDisk(() => handle.read(buffer, 0, buffer.length, position));
      if (bytesRead === 0) throw new Error('a spooled file became shorter');
      position += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }
  return Readable.from(read(), { objectMode: false, highWaterMark: READ_BYTES });
}
