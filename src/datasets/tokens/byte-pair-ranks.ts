import { readFileSync } from 'node:fs';
import type { Encoding } from './encodings.js';

/** The tokens of an encoding by their bytes: lower ranks are joined first. */
export interface BytePairRanks {
  /** The same of two bytes; much faster. */
  findPair(first: number, second: number): number;
  /** The rank of the token that is `bytes[start, end)`; -1 where there is none. `hash` is `hashBytes` of them. */
  find(bytes: Uint8Array, start: number, end: number, hash: number): number;
}

const NEWLINE = 0x0a;
const SPACE = 0x20;
const EQUALS = 0x3d;
const EMPTY = 0;
const NONE = -1;

/** 32 bits of FNV-1a, mixed so that the low bits do for a table's index. */
export function hashBytes(bytes: Uint8Array, start: number, end: number): number {
  let hash = -0x7ee3623b;
  for (let index = start; index < end; index += 1) hash = Math.imul(hash ^ (bytes[index] ?? 0), 0x01000193);
  return hash ^ (hash >>> 15);
}

/**
 * Reads the file of byte pairs that `gpt-tokenizer` carries: lines of base64, a space and the rank, in order of rank.
 * Its own encoder is not used: its time grows with the square of a run's length, so that one row of, say, a long gene
 * stops the process, and it does a twentieth of the speed of this one. Takes about 30 ms and 5 MB for o200k_base.
 */
export function loadBytePairRanks(name: Encoding['ranks']): BytePairRanks {
  const file = readFileSync(new URL(import.meta.resolve(`gpt-tokenizer/data/${name}.tiktoken`)));
  const { bytes: tokens, offsets, count } = decodeTokens(file);
  // Half full or less: a search is one or two steps. Most searches find nothing, which the marks alone tell: they fit into
  // a processor's cache where the rest does not.
  const slots = new Int32Array(2 ** Math.ceil(Math.log2(count * 2)));
  const marks = new Uint8Array(slots.length);
  const mask = slots.length - 1;
  const pairs = new Int32Array(2 ** 16).fill(NONE);
  for (let rank = 0; rank < count; rank += 1) {
    const start = offsets[rank] ?? 0;
    const end = offsets[rank + 1] ?? 0;
    const hash = hashBytes(tokens, start, end);
    let slot = hash & mask;
    while (marks[slot] !== EMPTY) slot = (slot + 1) & mask;
    slots[slot] = rank;
    marks[slot] = markOf(hash);
    if (end - start === 2) pairs[((tokens[start] ?? 0) << 8) | (tokens[start + 1] ?? 0)] = rank;
  }
  return {
    findPair: (first, second) => pairs[(first << 8) | second] ?? NONE,
    find: (bytes, start, end, hash) => {
      const length = end - start;
      const wanted = markOf(hash);
      for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
        const mark = marks[slot];
        if (mark === EMPTY) return NONE;
        if (mark !== wanted) continue;
        const rank = slots[slot] ?? 0;
        const offset = offsets[rank] ?? 0;
        if ((offsets[rank + 1] ?? 0) - offset !== length) continue;
        let index = 0;
        while (index < length && tokens[offset + index] === bytes[start + index]) index += 1;
        if (index === length) return rank;
      }
    },
  };
}

/** Of the bits that are not the slot's index; never `EMPTY`. */
function markOf(hash: number): number {
  return (hash >>> 24) | 1;
}

function decodeTokens(file: Uint8Array): { bytes: Uint8Array; offsets: Int32Array; count: number } {
  const values = base64Values();
  const bytes = new Uint8Array(file.length);
  const offsets: number[] = [0];
  let size = 0;
  let index = 0;
  while (index < file.length) {
    let bits = 0;
    let bitCount = 0;
    for (let byte = file[index]; byte !== SPACE && byte !== undefined; byte = file[index]) {
      index += 1;
      if (byte === EQUALS) continue;
      bits = (bits << 6) | (values[byte] ?? 0);
      bitCount += 6;
      if (bitCount < 8) continue;
      bitCount -= 8;
      bytes[size] = (bits >> bitCount) & 0xff;
      bits &= (1 << bitCount) - 1;
      size += 1;
    }
    let rank = 0;
    for (index += 1; index < file.length && file[index] !== NEWLINE; index += 1) {
      rank = rank * 10 + (file[index] ?? 0) - 0x30;
    }
    index += 1;
    if (rank !== offsets.length - 1) throw new Error(`the file of byte pairs is not in order at rank ${rank}`);
    offsets.push(size);
  }
  return { bytes: bytes.slice(0, size), offsets: Int32Array.from(offsets), count: offsets.length - 1 };
}

function base64Values(): Uint8Array {
  const values = new Uint8Array(256);
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/';
  for (let value = 0; value < alphabet.length; value += 1) values[alphabet.charCodeAt(value)] = value;
  return values;
}
