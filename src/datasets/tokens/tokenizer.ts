import { createByteMerge } from './byte-pair-merge.js';
import { hashBytes, loadBytePairRanks } from './byte-pair-ranks.js';
import { createClassifier, END_MARK } from './code-point-classes.js';
import type { Encoding } from './encodings.js';
import {
  createLongPieceTable,
  createShortPieceTable,
  MAX_LONG_BYTES,
  MAX_SHORT_BYTES,
  ROOM_BYTES,
} from './piece-table.js';
import { PIECE_ENDS } from './pieces.js';
import { createPlainWordLength } from './plain-word.js';

/** Counts tokens of text as tiktoken's `encode_ordinary` does: what looks like a special token is text. */
export interface Tokenizer {
  count(text: string): number;
}

/** Texts up to here share one buffer; UTF-8 takes at most three bytes for a UTF-16 unit. */
const SHARED_LENGTH = 64 * 1024;
/** 512 KB, which a processor keeps near, for what makes up most of a text; 8 MB for the rest of its words; 4 MB. */
const FREQUENT_LINES = 2 ** 13;
const SHORT_LINES = 2 ** 17;
const LONG_LINES = 2 ** 16;

/** Reads the encoding's byte pairs: about 50 ms, and 15 MB that stay as long as the tokenizer does and do not grow. */
export function createTokenizer(encoding: Encoding): Tokenizer {
  const ranks = loadBytePairRanks(encoding.ranks);
  const countMerged = createByteMerge(ranks);
  const frequentPieces = createShortPieceTable(FREQUENT_LINES);
  const shortPieces = createShortPieceTable(SHORT_LINES);
  const longPieces = createLongPieceTable(LONG_LINES);
  const classify = createClassifier();
  const plainWordLength = createPlainWordLength();
  const pieceEnd = PIECE_ENDS[encoding.split];
  const encoder = new TextEncoder();
  const sharedBytes = new Uint8Array(SHARED_LENGTH * 3 + ROOM_BYTES);
  const sharedView = new DataView(sharedBytes.buffer);

  const countUnknown = (bytes: Uint8Array, start: number, end: number): number =>
    ranks.find(bytes, start, end, hashBytes(bytes, start, end)) === -1 ? countMerged(bytes, start, end) : 1;

  const countLong = (bytes: Uint8Array, view: DataView, start: number, length: number): number => {
    if (length > MAX_LONG_BYTES) return countUnknown(bytes, start, start + length);
    const known = longPieces.find(view, start, length);
    if (known !== 0) return known;
    const count = countUnknown(bytes, start, start + length);
    longPieces.keep(view, start, length, count);
    return count;
  };

  const countRare = (
    bytes: Uint8Array,
    start: number,
    length: number,
    one: number,
    two: number,
    three: number,
  ): number => {
    let count = shortPieces.find(one, two, three, length);
    if (count === 0) {
      count = countUnknown(bytes, start, start + length);
      shortPieces.keep(one, two, three, length, count);
    }
    frequentPieces.keep(one, two, three, length, count);
    return count;
  };

  const countBytes = (bytes: Uint8Array, view: DataView, sizeBytes: number, isAscii: boolean): number => {
    bytes[sizeBytes] = END_MARK;
    const text = classify(bytes, sizeBytes, isAscii);
    let total = 0;
    for (let start = 0; start < sizeBytes;) {
      const one = view.getInt32(start, true);
      const two = view.getInt32(start + 4, true);
      const three = view.getInt32(start + 8, true);
      let length = plainWordLength(bytes, start, one, two, three);
      if (length === 0) length = isLoneSymbol(one) ? 1 : pieceEnd(text, start) - start;
      // All bytes are tokens.
      if (length === 1) total += 1;
      else if (length > MAX_SHORT_BYTES) total += countLong(bytes, view, start, length);
      else {
        const first = one & firstMask(length);
        const second = two & secondMask(length);
        const third = three & thirdMask(length);
        const known = frequentPieces.find(first, second, third, length);
        total += known === 0 ? countRare(bytes, start, length, first, second, third) : known;
      }
      start += length;
    }
    return total;
  };

  return {
    count: (text) => {
      if (text.length <= SHARED_LENGTH) {
        const { written } = encoder.encodeInto(text, sharedBytes);
        return countBytes(sharedBytes, sharedView, written, written === text.length);
      }
      const sizeBytes = Buffer.byteLength(text);
      const bytes = new Uint8Array(sizeBytes + ROOM_BYTES);
      encoder.encodeInto(text, bytes);
      return countBytes(bytes, new DataView(bytes.buffer), sizeBytes, sizeBytes === text.length);
    },
  };
}

/** A comma, a full stop and the like, before a blank: in both encodings a piece. */
function isLoneSymbol(bytes: number): boolean {
  const first = bytes & 0xff;
  return ((bytes >>> 8) & 0xff) === 0x20 && ((first > 0x20 && first < 0x30) || (first > 0x39 && first < 0x41));
}

/** Which bits of the first four bytes are those of a piece of this length; and so on. Shifts of 32 bits would be none. */
function firstMask(length: number): number {
  return length >= 4 ? -1 : (1 << (length << 3)) - 1;
}

function secondMask(length: number): number {
  return length >= 8 ? -1 : length <= 4 ? 0 : (1 << ((length - 4) << 3)) - 1;
}

function thirdMask(length: number): number {
  return length >= 12 ? -1 : length <= 8 ? 0 : (1 << ((length - 8) << 3)) - 1;
}
