import { createByteMerge } from './byte-pair-merge.js';
import { hashBytes, loadBytePairRanks } from './byte-pair-ranks.js';
import { createClassifier, END_MARK } from './code-point-classes.js';
import type { Encoding } from './encodings.js';
import { PIECE_ENDS } from './pieces.js';
import {
  createLongPieceTable,
  createShortPieceTable,
  MAX_LONG_BYTES,
  MAX_SHORT_BYTES,
  ROOM_BYTES,
} from './piece-table.js';
import { plainWordEnd } from './plain-word.js';

/** Counts tokens of text as tiktoken's `encode_ordinary` does: what looks like a special token is text. */
export interface Tokenizer {
  count(text: string): number;
}

/** Texts up to here share one buffer; UTF-8 takes at most three bytes for a UTF-16 unit. */
const SHARED_LENGTH = 64 * 1024;
/** 256 KB, which a processor keeps near, for what makes up most of a text; 4 MB for the rest of its words; 4 MB. */
const FREQUENT_LINES = 2 ** 12;
const SHORT_LINES = 2 ** 16;
const LONG_LINES = 2 ** 16;

/** Reads the encoding's byte pairs: about 50 ms, and 15 MB that stay as long as the tokenizer does and do not grow. */
export function createTokenizer(encoding: Encoding): Tokenizer {
  const ranks = loadBytePairRanks(encoding.ranks);
  const countMerged = createByteMerge(ranks);
  const frequentPieces = createShortPieceTable(FREQUENT_LINES);
  const shortPieces = createShortPieceTable(SHORT_LINES);
  const longPieces = createLongPieceTable(LONG_LINES);
  const classify = createClassifier();
  const pieceEnd = PIECE_ENDS[encoding.split];
  const encoder = new TextEncoder();
  const sharedBytes = new Uint8Array(SHARED_LENGTH * 3 + ROOM_BYTES);
  const sharedView = new DataView(sharedBytes.buffer);

  const countUnknown = (bytes: Uint8Array, start: number, end: number): number =>
    ranks.find(bytes, start, end, hashBytes(bytes, start, end)) === -1 ? countMerged(bytes, start, end) : 1;

  const countRare = (bytes: Uint8Array, view: DataView, start: number, length: number): number => {
    if (length > MAX_LONG_BYTES) return countUnknown(bytes, start, start + length);
    const table = length > MAX_SHORT_BYTES ? longPieces : shortPieces;
    const known = table.find(view, start, length);
    if (known !== 0) return known;
    const count = countUnknown(bytes, start, start + length);
    table.keep(view, start, length, count);
    return count;
  };

  const countPiece = (bytes: Uint8Array, view: DataView, start: number, length: number): number => {
    if (length > MAX_SHORT_BYTES) return countRare(bytes, view, start, length);
    const known = frequentPieces.find(view, start, length);
    if (known !== 0) return known;
    const count = countRare(bytes, view, start, length);
    frequentPieces.keep(view, start, length, count);
    return count;
  };

  const countBytes = (bytes: Uint8Array, view: DataView, sizeBytes: number, isAscii: boolean): number => {
    bytes[sizeBytes] = END_MARK;
    const text = classify(bytes, sizeBytes, isAscii);
    let count = 0;
    for (let start = 0; start < sizeBytes;) {
      const wordEnd = plainWordEnd(bytes, start);
      const end = wordEnd === start ? pieceEnd(text, start) : wordEnd;
      count += countPiece(bytes, view, start, end - start);
      start = end;
    }
    return count;
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
