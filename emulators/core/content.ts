import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, createWriteStream, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Transform, type Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Contents of uploaded files, one file on disk each; never whole in memory. */
export interface ContentStore {
  /** Stores a stream under `key` (atomic: a broken stream leaves nothing). */
  write(key: string, source: Readable | AsyncIterable<Buffer>): Promise<{ sizeBytes: number; md5: string }>;
  read(key: string, range?: { start: number; end: number }): Readable;
  sizeBytes(key: string): Promise<number>;
  delete(key: string): Promise<void>;
  /** Bytes of several contents one after the other. */
  concatenate(keys: readonly string[]): AsyncIterable<Buffer>;
  clear(): void;
}

/** Keeps contents in `directory`, which it makes. */
export function createContentStore(directory: string): ContentStore {
  mkdirSync(directory, { recursive: true });
  // What a killed process left half written.
  for (const name of readdirSync(directory)) {
    if (name.startsWith('.') && name.endsWith('.part')) rmSync(join(directory, name));
  }
  const pathOf = (key: string) => join(directory, encodeURIComponent(key));
  const read: ContentStore['read'] = (key, range) => createReadStream(pathOf(key), range ?? {});
  return {
    write: async (key, source) => {
      const temporary = join(directory, `.${randomBytes(8).toString('hex')}.part`);
      const hash = createHash('md5');
      let sizeBytes = 0;
      const measure = new Transform({
        transform: (chunk: Buffer, _encoding, done) => {
          hash.update(chunk);
          sizeBytes += chunk.length;
          done(null, chunk);
        },
      });
      try {
        await pipeline(source, measure, createWriteStream(temporary));
        await rename(temporary, pathOf(key));
      } catch (error) {
        await rm(temporary, { force: true });
        throw error;
      }
      return { sizeBytes, md5: hash.digest('hex') };
    },
    read,
    sizeBytes: async (key) => (await stat(pathOf(key))).size,
    delete: (key) => rm(pathOf(key), { force: true }),
    concatenate: async function* (keys) {
      for (const key of keys) yield* read(key);
    },
    clear: () => {
      rmSync(directory, { recursive: true, force: true });
      mkdirSync(directory, { recursive: true });
    },
  };
}
