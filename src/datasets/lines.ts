import { setImmediate as nextTurn } from 'node:timers/promises';

/** One line of a file; `bytes` null where the line was too long to be kept. */
export interface Line {
  /** Counted from 1. */
  readonly number: number;
  readonly bytes: Buffer | null;
  /** False for the last line of a file that does not end in a newline. */
  readonly isTerminated: boolean;
}

export interface LineOptions {
  readonly maxRowBytes: number;
  readonly signal: AbortSignal;
}

const NEWLINE = 0x0a;
/** Work done between two looks at the clock and the signal. */
const SLICE_BYTES = 64 * 1024;
/** How long a run of work may keep the event loop: heartbeats and cancellation wait behind it. */
const TURN_MS = 10;

/**
 * Calls `onLine` for each line of the content, split on the byte 0x0A, which no other UTF-8 character contains, until it
 * answers false. A last line that ends in a newline is not followed by an empty one. Memory stays within one line and one
 * chunk; `bytes` is valid during the call only. Throws the signal's reason once it is aborted. Resolves with the bytes up to
 * the end of the last line that was taken.
 */
export async function forEachLine(
  content: AsyncIterable<Uint8Array>,
  options: LineOptions,
  onLine: (line: Line) => boolean,
): Promise<number> {
  const { maxRowBytes, signal } = options;
  let lineNumber = 1;
  let takenBytes = 0;
  let parts: Buffer[] = [];
  let partsBytes = 0;
  let discarding = false;
  let turnStartedAt = performance.now();

  const keep = (part: Buffer): void => {
    if (partsBytes + part.length > maxRowBytes) {
      discarding = true;
      parts = [];
    }
    partsBytes += part.length;
    if (!discarding && part.length > 0) parts.push(part);
  };
  const endLine = (isTerminated: boolean): boolean => {
    const first = parts[0];
    const bytes = discarding ? null : parts.length === 1 && first !== undefined ? first : Buffer.concat(parts);
    takenBytes += partsBytes + (isTerminated ? 1 : 0);
    const number = lineNumber;
    lineNumber += 1;
    parts = [];
    partsBytes = 0;
    discarding = false;
    return onLine({ number, bytes, isTerminated });
  };

  signal.throwIfAborted();
  for await (const chunk of content) {
    const buffer = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length);
    for (let sliceStart = 0; sliceStart < buffer.length; sliceStart += SLICE_BYTES) {
      const sliceEnd = Math.min(sliceStart + SLICE_BYTES, buffer.length);
      const slice = buffer.subarray(sliceStart, sliceEnd);
      let lineStart = 0;
      for (;;) {
        const lineEnd = slice.indexOf(NEWLINE, lineStart);
        if (lineEnd === -1) break;
        keep(slice.subarray(lineStart, lineEnd));
        if (!endLine(true)) return takenBytes;
        lineStart = lineEnd + 1;
      }
      // A part that outlives its chunk is copied: the producer may use its buffer again.
      if (lineStart < slice.length) keep(Buffer.from(slice.subarray(lineStart)));
      signal.throwIfAborted();
      if (performance.now() - turnStartedAt > TURN_MS) {
        await nextTurn();
        signal.throwIfAborted();
        turnStartedAt = performance.now();
      }
    }
  }
  if (partsBytes > 0) endLine(false);
  return takenBytes;
}
