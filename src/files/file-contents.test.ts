import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { GatewayError } from '../domain/errors.js';
import type { ContentPiece } from '../store/files.js';
import { createFileContents, type FileContentReference, type FileContents } from './file-contents.js';
import type { ByteRange } from './file-store.js';

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

interface Scene {
  readonly contents: FileContents;
  readonly file: FileContentReference;
  /** What the store holds, by id; change it to damage it. */
  readonly stored: Map<string, string>;
  readonly pieces: ContentPiece[];
  /** Every stream that the store gave out, in order. */
  readonly opened: { readonly id: string; readonly stream: Readable }[];
}

interface SceneOptions {
  /** How the store gives out a content; one chunk for each 2 bytes where not given. */
  readonly stream?: (text: string, id: string) => Readable;
}

/** A file that was an upload of these parts; one string for a file with a content of its own. */
function scene(parts: readonly string[] | string, { stream = inChunks }: SceneOptions = {}): Scene {
  const isUpload = typeof parts !== 'string';
  const texts = isUpload ? parts : [parts];
  const idOf = (index: number): string => (isUpload ? `part_${index}` : 'file-a');
  const stored = new Map(texts.map((text, index) => [idOf(index), text]));
  const pieces = texts.map((text, index) => ({ id: idOf(index), sizeBytes: text.length }));
  const opened: Scene['opened'] = [];
  const whole = texts.join('');
  return {
    stored,
    pieces,
    opened,
    file: {
      id: 'file-a',
      sizeBytes: whole.length,
      sha256: sha256(whole),
      uploadId: isUpload ? 'upload_a' : null,
    },
    contents: createFileContents({
      pieces: () => Promise.resolve(pieces),
      store: {
        open(id, range) {
          const text = stored.get(id);
          if (text === undefined) return Promise.reject(new GatewayError('file_content_missing', `no ${id}`));
          const wanted = range === undefined ? text : text.slice(range.start, range.end + 1);
          opened.push({ id, stream: stream(wanted, id) });
          return Promise.resolve(opened.at(-1)!.stream);
        },
      },
    }),
  };
}

function inChunks(text: string): Readable {
  const chunks = text.match(/.{1,2}/gs) ?? [];
  return Readable.from(
    chunks.map((chunk) => Buffer.from(chunk)),
    { objectMode: false },
  );
}

const read = async ({ contents, file }: Scene, range?: ByteRange): Promise<string> =>
  (await buffer(await contents.open(file, range))).toString();

/** All that came, and how it ended. */
async function readUntilError({ contents, file }: Scene, range?: ByteRange) {
  const stream = await contents.open(file, range);
  let text = '';
  stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const ended = await Promise.race([
    once(stream, 'end').then(() => null),
    // `once` rejects with the error of an emitter.
    new Promise<unknown>((resolve) => stream.once('error', resolve)),
  ]).catch((error: unknown) => error);
  return { text, error: ended };
}

const allClosed = ({ opened }: Scene): boolean => opened.every(({ stream }) => stream.destroyed);

describe('the content of a file', () => {
  test.each([['abcdefgh'], [['abcdefgh']], [['abc', 'defgh']], [['a', '', 'bcd', 'e', 'fgh']], [['', 'abcdefgh', '']]])(
    'comes whole from %j',
    async (parts) => {
      const subject = scene(parts);
      expect(await read(subject)).toBe('abcdefgh');
      expect(allClosed(subject)).toBe(true);
    },
  );

  test.each([[['abcdefgh']], [['abc', 'defgh']], [['a', 'b', 'cde', '', 'fgh']]])(
    'comes in part for every range of %j, asking the store for no more than that',
    async (parts) => {
      for (let start = 0; start < 8; start += 1) {
        for (let end = start; end < 8; end += 1) {
          const subject = scene(parts);
          expect(await read(subject, { start, end })).toBe('abcdefgh'.slice(start, end + 1));
          expect(allClosed(subject)).toBe(true);
        }
      }
      const within = scene(['abc', 'def', 'ghi']);
      expect(await read(within, { start: 4, end: 5 })).toBe('ef');
      expect(within.opened.map(({ id }) => id)).toEqual(['part_1']);
    },
  );

  test('ends with the file where the range goes beyond it', async () => {
    expect(await read(scene(['abc', 'def']), { start: 4, end: 600 })).toBe('ef');
  });

  test.each([
    { start: 6, end: 7 },
    { start: -1, end: 2 },
    { start: 3, end: 2 },
  ])('is refused for the range $start-$end of 6 bytes', async (range) => {
    const subject = scene(['abc', 'def']);
    await expect(read(subject, range)).rejects.toMatchObject({ code: 'range_not_satisfiable' });
    expect(subject.opened).toEqual([]);
  });

  test('may be empty', async () => {
    expect(await read(scene(''))).toBe('');
    expect(await read(scene(['']))).toBe('');
    await expect(read(scene(''), { start: 0, end: 0 })).rejects.toMatchObject({ code: 'range_not_satisfiable' });
  });

  test('is missing, before a byte of it is passed on, where its first piece is', async () => {
    for (const parts of ['abc', ['abc', 'def'], '']) {
      const subject = scene(parts);
      subject.stored.delete(subject.pieces[0]!.id);
      await expect(subject.contents.open(subject.file)).rejects.toMatchObject({ code: 'file_content_missing' });
    }
  });

  test('is missing where the upload has no parts', async () => {
    const subject = scene(['abc']);
    subject.pieces.splice(0);
    await expect(subject.contents.open(subject.file)).rejects.toMatchObject({ code: 'file_content_missing' });
  });

  test.each([undefined, { start: 1, end: 8 }])(
    'ends with the error of a later piece that is missing (%o)',
    async (range) => {
      const subject = scene(['abc', 'def', 'ghi']);
      subject.stored.delete('part_1');
      const { text, error } = await readUntilError(subject, range);
      expect(error).toMatchObject({ code: 'file_content_missing' });
      expect('abc').toContain(text);
      expect(allClosed(subject)).toBe(true);
    },
  );

  test('is damaged where the parts are not as long as the file together', async () => {
    const subject = scene(['abc', 'def', 'ghi']);
    subject.pieces.splice(1, 1);
    await expect(subject.contents.open(subject.file)).rejects.toMatchObject({ code: 'file_content_damaged' });
    expect(subject.opened).toEqual([]);
  });

  test.each([
    ['another byte at the end', 'part_2', 'ghX'],
    ['another byte at the start', 'part_0', 'Xbc'],
    ['a piece that is too short', 'part_1', 'de'],
    ['a piece that is empty', 'part_1', ''],
    ['a last piece that is too short', 'part_2', 'gh'],
    ['a piece that is too long', 'part_1', 'defX'],
    ['a last piece that is too long', 'part_2', 'ghiX'],
  ])('is never passed on to its last byte with %s', async (_name, id, text) => {
    for (const stream of [inChunks, (whole: string) => Readable.from([Buffer.from(whole)])]) {
      const subject = scene(['abc', 'def', 'ghi'], { stream });
      subject.stored.set(id, text);
      const end = await readUntilError(subject);
      expect(end.error).toMatchObject({ code: 'file_content_damaged' });
      expect(end.text.length).toBeLessThan(9);
      expect(allClosed(subject)).toBe(true);
    }
  });

  test('is checked for a range that is all of it, too', async () => {
    const subject = scene('abcdef');
    subject.stored.set('file-a', 'abcdeX');
    expect((await readUntilError(subject, { start: 0, end: 5 })).error).toMatchObject({ code: 'file_content_damaged' });
  });

  test.each(['ab', 'abcdefgh'])('does not end well for a range of a piece that has become %s', async (text) => {
    const subject = scene(['abcd', 'efgh'], { stream: () => inChunks(text) });
    expect((await readUntilError(subject, { start: 1, end: 7 })).error).toMatchObject({ code: 'file_content_damaged' });
    expect(allClosed(subject)).toBe(true);
  });

  test('ends with the error of a store that breaks on the way', async () => {
    const subject = scene(['abc', 'def'], {
      stream: (text, id) =>
        id === 'part_0'
          ? inChunks(text)
          : Readable.from(
              (function* () {
                yield Buffer.from('d');
                throw new Error('the disk broke');
              })(),
            ),
    });
    expect((await readUntilError(subject)).error).toMatchObject({ message: 'the disk broke' });
    expect(allClosed(subject)).toBe(true);
  });

  test('closes the store when its reader leaves in the middle', async () => {
    const subject = scene(['abcdef', 'ghijkl']);
    const stream = await subject.contents.open(subject.file);
    for await (const chunk of stream) {
      expect(String(chunk)).toBe('ab');
      break;
    }
    expect(allClosed(subject)).toBe(true);
  });

  test('closes the store when its reader leaves before the first byte', async () => {
    const subject = scene(['abc', 'def']);
    const stream = await subject.contents.open(subject.file);
    stream.destroy();
    await once(stream, 'close');
    expect(subject.opened).toHaveLength(1);
    expect(allClosed(subject)).toBe(true);
  });

  test('closes a store that is silent as soon as its reader leaves', async () => {
    const subject = scene(['abc', 'def'], { stream: () => new Readable({ read: () => undefined }) });
    const stream = await subject.contents.open(subject.file);
    stream.resume();
    await new Promise((resolve) => setImmediate(resolve));
    stream.destroy();
    await once(stream, 'close');
    expect(allClosed(subject)).toBe(true);
  });

  test('closes a piece that is opened while its reader leaves', async () => {
    const subject = scene(['abc', 'def']);
    const late: { open: (() => void) | null } = { open: null };
    const { contents } = {
      contents: createFileContents({
        pieces: () => Promise.resolve(subject.pieces),
        store: {
          async open(id) {
            if (id === 'part_1') await new Promise<void>((resolve) => (late.open = resolve));
            const stream = inChunks(subject.stored.get(id)!);
            subject.opened.push({ id, stream });
            return stream;
          },
        },
      }),
    };
    const stream = await contents.open(subject.file);
    stream.resume();
    await expect.poll(() => late.open).not.toBeNull();
    stream.destroy();
    late.open?.();
    await expect.poll(() => subject.opened.length).toBe(2);
    await expect.poll(() => allClosed(subject)).toBe(true);
  });

  test('survives a store stream that breaks while nobody reads it', async () => {
    const subject = scene(['abc', 'def']);
    const stream = await subject.contents.open(subject.file);
    subject.opened[0]!.stream.destroy(new Error('the connection was lost'));
    await new Promise((resolve) => setImmediate(resolve));
    await expect(buffer(stream)).rejects.toThrow('the connection was lost');
  });

  test('passes on chunks that are larger than a buffer, with empty ones between', async () => {
    const large = 'x'.repeat(300_000);
    const subject = scene([large, 'end'], {
      stream: (text) => Readable.from([Buffer.alloc(0), Buffer.from(text), Buffer.alloc(0)]),
    });
    expect(await read(subject)).toBe(`${large}end`);
  });

  test('reads no further ahead than a buffer while its reader waits', async () => {
    const subject = scene(['a'.repeat(1_000_000), 'b']);
    const stream = await subject.contents.open(subject.file);
    await once(stream, 'readable');
    await new Promise((resolve) => setImmediate(resolve));
    expect(stream.readableLength).toBeLessThan(100_000);
    stream.destroy();
  });
});
