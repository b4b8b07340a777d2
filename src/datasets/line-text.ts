import { isUtf8 } from 'node:buffer';

/** The text of a line, or where it stops being UTF-8. */
export type LineText =
  | { readonly text: string; readonly faultAt: null }
  | {
      /** With replacement characters. */
      readonly text: string;
      /** The first byte that is wrong, from 0. */
      readonly faultAt: number;
      /** Whether the bytes end within a character. */
      readonly endsEarly: boolean;
    };

/** Decodes a line. A mark at its start stays. */
export function decodeLine(bytes: Buffer): LineText {
  const text = bytes.toString('utf8');
  // Wrong bytes always leave a replacement character; the search costs nothing for text in ASCII.
  if (!text.includes('\uFFFD') || isUtf8(bytes)) return { text, faultAt: null };
  const faultAt = firstInvalidByte(bytes);
  const rest = bytes.subarray(faultAt);
  return {
    text,
    faultAt,
    endsEarly: rest.length < sequenceLength(rest[0] ?? 0) && rest.subarray(1).every(isContinuation),
  };
}

/** Halves the bytes, cut between characters, until the faulty character alone is left. */
function firstInvalidByte(bytes: Buffer): number {
  let start = 0;
  let end = bytes.length;
  while (end - start > 8) {
    const middle = characterStart(bytes, start + ((end - start) >> 1), start);
    if (middle === start) break;
    if (isUtf8(bytes.subarray(start, middle))) start = middle;
    else end = middle;
  }
  while (start < end) {
    const length = sequenceLength(bytes[start] ?? 0);
    if (length === 0 || !isUtf8(bytes.subarray(start, Math.min(start + length, bytes.length)))) return start;
    start += length;
  }
  return start;
}

/** The nearest start of a character at or before `offset`, not before `floor`. */
function characterStart(bytes: Buffer, offset: number, floor: number): number {
  let start = offset;
  while (start > floor && isContinuation(bytes[start] ?? 0)) start -= 1;
  return start;
}

const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80;

/** How many bytes a character has by its first; 0 for a byte that begins none. */
function sequenceLength(first: number): number {
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first < 0xe0) return 2;
  if (first >= 0xe0 && first < 0xf0) return 3;
  return first >= 0xf0 && first < 0xf5 ? 4 : 0;
}
