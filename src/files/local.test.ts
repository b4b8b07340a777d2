import * as nodeFileSystem from 'node:fs/promises';
import { mkdtemp, readdir, readlink, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { describeFileStoreContract } from '../../test/file-store-contract.js';
import type { FileSystem } from './disk.js';
import { createLocalFileStore } from './local.js';

const storedIn = async (directory: string): Promise<string[]> =>
  (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => entry.name);

/** Of this process; where it cannot say, none. */
const openFilesBelow = async (directory: string): Promise<number> => {
  const descriptors = await readdir('/proc/self/fd').catch(() => []);
  const paths = await Promise.all(descriptors.map((name) => readlink(join('/proc/self/fd', name)).catch(() => '')));
  return paths.filter((path) => path.startsWith(directory)).length;
};

describeFileStoreContract('local disk', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tunesmith-local-store-'));
  return {
    store: await createLocalFileStore(directory),
    stored: () => storedIn(directory),
    abandon: () => writeFile(join(directory, 'incoming', 'file-half.0123456789ab'), 'half'),
    openHandles: () => openFilesBelow(directory),
    close: () => rm(directory, { recursive: true, force: true }),
  };
});

describe('the local file store', () => {
  let directory: string;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tunesmith-local-store-'));
  });
  afterEach(() => rm(directory, { recursive: true, force: true }));

  const content = async function* (sizeBytes: number): AsyncGenerator<Uint8Array> {
    for (let sent = 0; sent < sizeBytes; sent += 65_536) {
      await Promise.resolve();
      yield Buffer.alloc(Math.min(65_536, sizeBytes - sent));
    }
  };
  const failure = (code: string): Error => Object.assign(new Error(`${code}: injected`), { code });
  /** A disk whose writes fail once so many bytes are on it, and which first takes less than it was given. */
  const fullDisk = (capacityBytes: number, code: string): FileSystem => ({
    ...nodeFileSystem,
    open: async (...parameters) => {
      const handle = await nodeFileSystem.open(...parameters);
      let written = 0;
      return new Proxy(handle, {
        get(target, property) {
          const value: unknown = Reflect.get(target, property, target);
          if (typeof value !== 'function') return value;
          if (property !== 'write') return value.bind(target) as unknown;
          return async (bytes: Uint8Array, offset = 0, length = bytes.length) => {
            if (written >= capacityBytes) throw failure(code);
            const result = await handle.write(bytes, offset, Math.min(length, capacityBytes - written));
            written += result.bytesWritten;
            return result;
          };
        },
      });
    },
  });

  test.each(['ENOSPC', 'EDQUOT'])('answers a full disk (%s) with storage_full and keeps nothing', async (code) => {
    const store = await createLocalFileStore(directory, { fileSystem: fullDisk(100_000, code) });
    await expect(store.put('file-a', content(1_000_000), { maxBytes: 2_000_000 })).rejects.toMatchObject({
      code: 'storage_full',
    });
    expect(await storedIn(directory)).toEqual([]);
  });

  test('finishes a write that the disk took only in part', async () => {
    let calls = 0;
    const fileSystem: FileSystem = {
      ...nodeFileSystem,
      open: async (...parameters) => {
        const handle = await nodeFileSystem.open(...parameters);
        return new Proxy(handle, {
          get(target, property) {
            const value: unknown = Reflect.get(target, property, target);
            if (typeof value !== 'function') return value;
            if (property !== 'write') return value.bind(target) as unknown;
            return (bytes: Uint8Array, offset: number, length: number) => {
              calls += 1;
              return handle.write(bytes, offset, Math.min(length, 1_000));
            };
          },
        });
      },
    };
    const store = await createLocalFileStore(directory, { fileSystem });
    await store.put('file-a', content(10_500), { maxBytes: 1_000_000 });
    expect(calls).toBe(11);
    expect(await store.sizeBytes('file-a')).toBe(10_500);
  });

  test('answers a disk that fails otherwise with storage_unavailable', async () => {
    const store = await createLocalFileStore(directory, {
      fileSystem: { ...nodeFileSystem, rename: () => Promise.reject(failure('EIO')) },
    });
    await expect(store.put('file-a', content(10), { maxBytes: 100 })).rejects.toMatchObject({
      code: 'storage_unavailable',
    });
    expect(await storedIn(directory)).toEqual([]);
  });

  test('says so when its directory goes away', async () => {
    const store = await createLocalFileStore(join(directory, 'store'));
    await rm(join(directory, 'store'), { recursive: true });
    await expect(store.check()).rejects.toMatchObject({ code: 'storage_unavailable' });
  });

  test('removes what a crash left over, once it is old, and nothing else', async () => {
    const store = await createLocalFileStore(directory);
    await store.put('file-kept', content(10), { maxBytes: 100 });
    const [old, young] = [join(directory, 'incoming', 'file-old.abc'), join(directory, 'incoming', 'file-young.abc')];
    await writeFile(old, 'x');
    await writeFile(young, 'x');
    const twoDaysAgo = new Date(Date.now() - 2 * 24 * 60 * 60 * 1_000);
    await utimes(old, twoDaysAgo, twoDaysAgo);
    await createLocalFileStore(directory);
    expect((await storedIn(directory)).sort()).toEqual(['file-kept', 'file-young.abc']);
  });
});
