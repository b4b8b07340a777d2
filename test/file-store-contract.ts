import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { FileStore } from '../src/files/file-store.js';
import { until } from './support/until.js';

export interface FileStoreUnderTest {
  readonly store: FileStore;
  /** Everything that is kept, half-written content included: names in any form, one for each. */
  stored(): Promise<readonly string[]>;
  /** Leaves one half-written content behind, as a crash does. */
  abandon(): Promise<void>;
  /** Files and connections that are open for contents now. */
  openHandles(): Promise<number>;
  close(): Promise<void>;
}

const MIB = 1024 * 1024;
const MAX_BYTES = 96 * MIB;
/** A store that sends in parts does so with this. */
const BIG_BYTES = 20 * MIB;

async function* chunks(...parts: readonly (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) {
    await Promise.resolve();
    yield typeof part === 'string' ? Buffer.from(part) : part;
  }
}

/** Pieces of 1 MiB, each of its own content, that end as `end` says once so many bytes were given. */
async function* big(sizeBytes: number, end: () => Promise<void> = () => Promise.resolve()): AsyncGenerator<Uint8Array> {
  for (let sent = 0; sent < sizeBytes; sent += MIB) {
    await Promise.resolve();
    yield Buffer.alloc(Math.min(MIB, sizeBytes - sent), `${sent} `);
  }
  await end();
}

const sha256 = (content: string | Uint8Array): string => createHash('sha256').update(content).digest('hex');

/** What every backend of `FileStore` promises. */
export function describeFileStoreContract(name: string, create: () => Promise<FileStoreUnderTest>): void {
  describe(`the file store contract: ${name}`, () => {
    let subject: FileStoreUnderTest;
    let store: FileStore;
    beforeEach(async () => {
      subject = await create();
      store = subject.store;
    });
    afterEach(() => subject.close());

    const put = (id: string, ...parts: readonly (string | Uint8Array)[]) =>
      store.put(id, chunks(...parts), { maxBytes: MAX_BYTES });
    const read = async (id: string, range?: { start: number; end: number }): Promise<string> =>
      (await buffer(await store.open(id, range))).toString();

    test('gives back what was put, with its size and hash', async () => {
      expect(await put('file-a', 'one', 'two', '', 'ü')).toEqual({ sizeBytes: 8, sha256: sha256('onetwoü') });
      expect(await read('file-a')).toBe('onetwoü');
      expect(await store.sizeBytes('file-a')).toBe(8);
    });

    test('keeps content of many chunks in order', async () => {
      const parts = Array.from({ length: 3_000 }, (_unused, index) => Buffer.from(`${index}\n`.repeat(index % 97)));
      const whole = Buffer.concat(parts);
      expect(await put('file-a', ...parts)).toEqual({ sizeBytes: whole.length, sha256: sha256(whole) });
      expect((await buffer(await store.open('file-a'))).equals(whole)).toBe(true);
    });

    test('does not keep a view of a chunk that the source uses again', async () => {
      const shared = Buffer.alloc(64 * 1024);
      async function* reused(): AsyncGenerator<Uint8Array> {
        for (let index = 0; index < 20; index += 1) {
          await Promise.resolve();
          yield Buffer.from(shared.fill(index));
        }
      }
      await store.put('file-a', reused(), { maxBytes: MAX_BYTES });
      const content = await buffer(await store.open('file-a'));
      for (let index = 0; index < 20; index += 1) expect(content[index * shared.length]).toBe(index);
    });

    test('keeps an empty content', async () => {
      expect(await put('file-empty')).toEqual({ sizeBytes: 0, sha256: sha256('') });
      expect(await store.sizeBytes('file-empty')).toBe(0);
      expect(await read('file-empty')).toBe('');
    });

    test('reads ranges, both ends included', async () => {
      await put('file-a', '0123456789');
      expect(await read('file-a', { start: 0, end: 0 })).toBe('0');
      expect(await read('file-a', { start: 3, end: 6 })).toBe('3456');
      expect(await read('file-a', { start: 9, end: 9 })).toBe('9');
    });

    test('has nothing under an id that was never put', async () => {
      expect(await store.sizeBytes('file-none')).toBeNull();
      await expect(store.open('file-none')).rejects.toMatchObject({ code: 'file_content_missing' });
    });

    test('deletes, and does not mind deleting what is not there', async () => {
      await put('file-a', 'x');
      await store.delete('file-a');
      await store.delete('file-a');
      expect(await store.sizeBytes('file-a')).toBeNull();
      expect(await subject.stored()).toEqual([]);
    });

    test('keeps nothing of a source that fails', async () => {
      async function* failing(): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(1024 * 1024);
        await Promise.resolve();
        throw new Error('the source broke');
      }
      await expect(store.put('file-a', failing(), { maxBytes: MAX_BYTES })).rejects.toThrow('the source broke');
      expect(await store.sizeBytes('file-a')).toBeNull();
      expect(await subject.stored()).toEqual([]);
    });

    test('keeps nothing above the limit, and everything at it', async () => {
      await expect(store.put('file-a', chunks('12345', '6'), { maxBytes: 5 })).rejects.toMatchObject({
        code: 'payload_too_large',
      });
      expect(await subject.stored()).toEqual([]);
      await expect(store.put('file-a', chunks('12345'), { maxBytes: 5 })).resolves.toMatchObject({ sizeBytes: 5 });
    });

    test('ends at once when the signal aborts, though the source is silent, and keeps nothing', async () => {
      const abort = new AbortController();
      async function* silent(): AsyncGenerator<Uint8Array> {
        yield Buffer.from('begun');
        queueMicrotask(() => abort.abort(new Error('the client left')));
        await new Promise(() => undefined);
      }
      await expect(store.put('file-a', silent(), { maxBytes: MAX_BYTES, signal: abort.signal })).rejects.toThrow(
        'the client left',
      );
      expect(await subject.stored()).toEqual([]);
      const aborted = store.put('file-b', chunks('x'), { maxBytes: MAX_BYTES, signal: abort.signal });
      await expect(aborted).rejects.toThrow('the client left');
    });

    test('reads from a slow source only as fast as it writes', async () => {
      let produced = 0;
      async function* source(): AsyncGenerator<Uint8Array> {
        for (; produced < 64; produced += 1) {
          await Promise.resolve();
          yield Buffer.alloc(1024 * 1024);
        }
      }
      const limit = 4 * 1024 * 1024;
      await expect(store.put('file-a', source(), { maxBytes: limit })).rejects.toMatchObject({
        code: 'payload_too_large',
      });
      expect(produced).toBeLessThan(32);
    });

    test('takes many at once without mixing them', async () => {
      const ids = Array.from({ length: 24 }, (_unused, index) => `file-many${index}`);
      await Promise.all(ids.map((id) => put(id, ...Array.from({ length: 50 }, () => `${id}\n`.repeat(200)))));
      for (const id of ids) expect(await read(id)).toBe(`${id}\n`.repeat(10_000));
    });

    test('shows a second put of an id whole or not at all', async () => {
      await Promise.all([put('file-a', 'a'.repeat(300_000)), put('file-a', 'b'.repeat(300_000))]);
      const content = await read('file-a');
      expect(['a'.repeat(300_000), 'b'.repeat(300_000)]).toContain(content);
      expect(await subject.stored()).toHaveLength(1);
    });

    test('goes on reading a content that is deleted meanwhile, or says that it cannot', async () => {
      await put('file-a', 'x'.repeat(1024 * 1024));
      const stream = await store.open('file-a');
      await store.delete('file-a');
      const outcome = await buffer(stream).then(
        (content) => content.length,
        () => 'failed',
      );
      expect([1024 * 1024, 'failed']).toContain(outcome);
    });

    test('refuses an id that is a path', async () => {
      for (const id of ['../escape', 'a/b', 'a\\b', '.', '..', '', 'a\0b', '/etc/passwd']) {
        await expect(put(id, 'x')).rejects.toThrow();
        await expect(store.open(id)).rejects.toThrow();
        await expect(store.delete(id)).rejects.toThrow();
      }
      expect(await subject.stored()).toEqual([]);
    });

    test('keeps a big content whole, and reads ranges in the middle of it', async () => {
      const whole = await buffer(big(BIG_BYTES + 17));
      expect(await store.put('file-big', big(BIG_BYTES + 17), { maxBytes: MAX_BYTES })).toEqual({
        sizeBytes: whole.length,
        sha256: sha256(whole),
      });
      expect(await subject.stored()).toHaveLength(1);
      expect(sha256(await buffer(await store.open('file-big')))).toBe(sha256(whole));
      const part = await buffer(await store.open('file-big', { start: 5 * MIB - 3, end: 12 * MIB + 4 }));
      expect(part.equals(whole.subarray(5 * MIB - 3, 12 * MIB + 5))).toBe(true);
    });

    test('keeps nothing of a big content whose source fails, or whose signal aborts', async () => {
      const failing = big(BIG_BYTES, () => Promise.reject(new Error('the source broke')));
      await expect(store.put('file-a', failing, { maxBytes: MAX_BYTES })).rejects.toThrow('the source broke');
      const abort = new AbortController();
      const leaving = big(BIG_BYTES, () => {
        abort.abort(new Error('the client left'));
        return new Promise(() => undefined);
      });
      const aborted = store.put('file-b', leaving, { maxBytes: MAX_BYTES, signal: abort.signal });
      await expect(aborted).rejects.toThrow('the client left');
      expect(await store.sizeBytes('file-a')).toBeNull();
      expect(await store.sizeBytes('file-b')).toBeNull();
      expect(await subject.stored()).toEqual([]);
    });

    test('takes 16 big contents at once', async () => {
      const ids = Array.from({ length: 16 }, (_unused, index) => `part-${index}`);
      const sizeOf = (index: number): number => 2 * MIB + index;
      const stored = await Promise.all(
        ids.map((id, index) => store.put(id, big(sizeOf(index)), { maxBytes: MAX_BYTES })),
      );
      for (const [index, id] of ids.entries()) {
        expect(stored[index]!.sizeBytes).toBe(sizeOf(index));
        expect(sha256(await buffer(await store.open(id)))).toBe(stored[index]!.sha256);
      }
    });

    test('has nothing behind the end of a content, and what there is before it', async () => {
      await put('file-a', '0123456789');
      expect(await read('file-a', { start: 10, end: 20 })).toBe('');
      expect(await read('file-a', { start: 8, end: 20 })).toBe('89');
      await put('file-empty');
      expect(await read('file-empty', { start: 0, end: 0 })).toBe('');
    });

    test('holds nothing open for a reader that leaves in the middle, or before its first byte', async () => {
      await store.put('file-big', big(BIG_BYTES), { maxBytes: MAX_BYTES });
      const readers = await Promise.all(Array.from({ length: 8 }, () => store.open('file-big')));
      for (const [index, reader] of readers.entries()) {
        if (index % 2 === 0) await reader[Symbol.asyncIterator]().next();
        reader.on('error', () => undefined).destroy(index % 4 === 0 ? new Error('the client left') : undefined);
      }
      await until('everything to be closed', async () => (await subject.openHandles()) === 0);
      expect(readers.every(({ destroyed }) => destroyed)).toBe(true);
    });

    test('lets a reader pause while others read, and gives it the rest afterwards', async () => {
      const { sha256: whole } = await store.put('file-big', big(BIG_BYTES), { maxBytes: MAX_BYTES });
      const paused = (await store.open('file-big'))[Symbol.asyncIterator]();
      const hash = createHash('sha256');
      const take = async (): Promise<boolean> => {
        const next: IteratorResult<Uint8Array> = await paused.next();
        if (next.done !== true) hash.update(next.value);
        return next.done !== true;
      };
      await take();
      for (let index = 0; index < 4; index += 1) {
        expect(sha256(await buffer(await store.open('file-big')))).toBe(whole);
      }
      while (await take());
      expect(hash.digest('hex')).toBe(whole);
    });

    test('lists every content that is whole, and when it came', async () => {
      const before = Date.now();
      const list = async () => {
        const entries = [];
        for await (const entry of store.list()) entries.push(entry);
        return entries;
      };
      expect(await list()).toEqual([]);
      const ids = ['file-a', 'file-B', 'part_1', 'x'];
      for (const id of ids) await put(id, id);
      await subject.abandon();
      const entries = await list();
      expect(entries.map(({ id }) => id).sort()).toEqual([...ids].sort());
      // To the second: not every store is more exact.
      for (const { modifiedAt } of entries) expect(modifiedAt.getTime()).toBeGreaterThanOrEqual(before - 2_000);
    });

    test('stops listing when the signal aborts', async () => {
      await put('file-a', 'x');
      await put('file-b', 'x');
      const abort = new AbortController();
      const list = async (): Promise<void> => {
        for await (const entry of store.list(abort.signal))
          abort.abort(new Error(`stopped at ${entry.id.slice(0, 5)}`));
      };
      await expect(list()).rejects.toThrow('stopped at file-');
    });

    test('removes what was begun before a time and not finished, and nothing else', async () => {
      await put('file-a', 'x');
      const whole = await subject.stored();
      await subject.abandon();
      expect(await store.removeAbandoned(new Date(Date.now() - 60 * 60 * 1_000))).toBe(0);
      expect(await subject.stored()).toHaveLength(2);
      expect(await store.removeAbandoned(new Date(Date.now() + 60 * 60 * 1_000))).toBe(1);
      expect(await subject.stored()).toEqual(whole);
    });

    test('says that it works, and leaves no trace of having tried', async () => {
      await store.check();
      expect(await subject.stored()).toEqual([]);
    });
  });
}
