import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { GatewayError } from '../domain/errors.js';
import type { ContentPiece, FileRow } from '../store/files.js';
import type { ByteRange, FileStore } from './file-store.js';

/** What of a file's row says where its content is. */
export type FileContentReference = Pick<FileRow, 'id' | 'sizeBytes' | 'sha256' | 'uploadId'>;

/** The content of files, wherever its pieces are. */
export interface FileContents {
  /**
   * The content, or a part of it. It ends well only where as many bytes came as the row says, and, read as a whole, with
   * the row's SHA-256: else with `file_content_damaged`, before the last chunk is passed on. So whoever has all bytes
   * has the right ones. `file_content_missing` where a piece is not there, `range_not_satisfiable` for a range that
   * begins outside. Destroy it when you do not read it to its end.
   */
  open(file: FileContentReference, range?: ByteRange): Promise<Readable>;
}

export interface FileContentsDependencies {
  readonly store: Pick<FileStore, 'open'>;
  /** The parts of a file that was an upload, in order. */
  readonly pieces: (uploadId: string) => Promise<readonly ContentPiece[]>;
}

/** A file is one content under its own id, or the parts of the upload that it was: nothing is copied to join them. */
export function createFileContents({ store, pieces }: FileContentsDependencies): FileContents {
  const piecesOf = async (file: FileContentReference): Promise<readonly ContentPiece[]> =>
    file.uploadId === null ? [{ id: file.id, sizeBytes: file.sizeBytes }] : pieces(file.uploadId);
  return {
    async open(file, range) {
      const wanted = withinFile(file, range);
      const all = await piecesOf(file);
      const [first] = all;
      if (first === undefined) throw missing(file.id);
      if (all.reduce((total, { sizeBytes }) => total + sizeBytes, 0) !== file.sizeBytes) throw damaged(file.id);
      const parts = overlap(all, wanted);
      const source = createSource(store);
      // Opened now: that it is missing is to be said before anything of it is passed on. An empty file has a content too.
      const begin = parts[0] ?? { id: first.id, sizeBytes: 0 };
      const opened = await source.open(begin);
      const read = readPieces(source, opened, [begin, ...parts.slice(1)], file.id);
      return toStream(isWhole(file, wanted) ? verified(read, file) : read, source);
    },
  };
}

interface WantedPiece {
  readonly id: string;
  /** Of what is wanted of it. */
  readonly sizeBytes: number;
  /** Absent where all of it is wanted. */
  readonly range?: ByteRange;
}

function withinFile({ id, sizeBytes }: FileContentReference, range: ByteRange | undefined): ByteRange {
  const last = sizeBytes - 1;
  if (range === undefined) return { start: 0, end: last };
  if (range.start < 0 || range.start > last || range.end < range.start) {
    throw new GatewayError('range_not_satisfiable', `The range lies outside ${id}, which has ${sizeBytes} bytes.`);
  }
  return { start: range.start, end: Math.min(range.end, last) };
}

const isWhole = (file: FileContentReference, { start, end }: ByteRange): boolean =>
  start === 0 && end === file.sizeBytes - 1;

function overlap(pieces: readonly ContentPiece[], { start, end }: ByteRange): readonly WantedPiece[] {
  const wanted: WantedPiece[] = [];
  let offset = 0;
  for (const { id, sizeBytes } of pieces) {
    const from = Math.max(start, offset) - offset;
    const to = Math.min(end, offset + sizeBytes - 1) - offset;
    if (from === 0 && to === sizeBytes - 1 && sizeBytes > 0) wanted.push({ id, sizeBytes });
    else if (from <= to) wanted.push({ id, sizeBytes: to - from + 1, range: { start: from, end: to } });
    offset += sizeBytes;
  }
  return wanted;
}

/** What is open in the store for one reader: one piece at a time, and none once it is closed. */
interface Source {
  open(piece: WantedPiece): Promise<Readable>;
  close(): void;
}

function createSource(store: Pick<FileStore, 'open'>): Source {
  let current: Readable | null = null;
  let closed = false;
  return {
    async open({ id, range }) {
      const opened = await store.open(id, range);
      // It may break while nobody reads it, before its first byte or after its last: whoever reads next learns of it.
      opened.on('error', () => undefined);
      if (closed) opened.destroy();
      current = opened;
      return opened;
    },
    close() {
      closed = true;
      current?.destroy();
    },
  };
}

async function* readPieces(
  source: Source,
  opened: Readable,
  wanted: readonly WantedPiece[],
  fileId: string,
): AsyncGenerator<Buffer, void, undefined> {
  for (const [index, piece] of wanted.entries()) {
    const content: AsyncIterable<Buffer> = index === 0 ? opened : await source.open(piece);
    let sizeBytes = 0;
    for await (const chunk of content) {
      sizeBytes += chunk.length;
      if (sizeBytes > piece.sizeBytes) throw damaged(fileId);
      yield chunk;
    }
    if (sizeBytes < piece.sizeBytes) throw damaged(fileId);
  }
}

/** Keeps the chunk with the last byte back until all is known to be right. */
async function* verified(
  content: AsyncIterable<Buffer>,
  file: FileContentReference,
): AsyncGenerator<Buffer, void, undefined> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  let last: Buffer | null = null;
  for await (const chunk of content) {
    hash.update(chunk);
    sizeBytes += chunk.length;
    if (sizeBytes < file.sizeBytes) yield chunk;
    else last ??= chunk;
  }
  if (hash.digest('hex') !== file.sha256) throw damaged(file.id);
  if (last !== null) yield last;
}

/**
 * `Readable.from` closes its source only between two chunks, and never one that nobody has read from: a reader that leaves
 * would wait for a store that is silent, or leave a file open.
 */
function toStream(content: AsyncGenerator<Buffer, void, undefined>, source: Source): Readable {
  const push = async (stream: Readable): Promise<void> => {
    for (;;) {
      const next = await content.next();
      // An empty chunk would be taken for "nothing yet", and nobody asks again.
      if (next.done === true || next.value.length > 0) {
        if (!stream.destroyed) stream.push(next.done === true ? null : next.value);
        return;
      }
    }
  };
  return new Readable({
    read() {
      push(this).catch((error: unknown) =>
        this.destroy(error instanceof Error ? error : new Error('the file store failed', { cause: error })),
      );
    },
    destroy(error, callback) {
      source.close();
      callback(error);
    },
  });
}

function missing(id: string): GatewayError {
  return new GatewayError('file_content_missing', `The content of ${id} is not in the file store.`);
}

function damaged(id: string): GatewayError {
  return new GatewayError(
    'file_content_damaged',
    `The content of ${id} in the file store is not what was uploaded. Upload it again.`,
  );
}
