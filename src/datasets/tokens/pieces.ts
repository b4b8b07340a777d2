import {
  DIGIT,
  LETTER,
  LOWER,
  MARK,
  NEWLINE,
  PREFIX,
  SYMBOL,
  UNCASED,
  UPPER,
  WHITE_SPACE,
  type ClassifiedText,
} from './code-point-classes.js';
import type { SplitRules } from './encodings.js';

/** Where the piece that begins at `start` ends: the match of the encoding's regular expression there, in bytes. */
export type PieceEnd = (text: ClassifiedText, start: number) => number;

const APOSTROPHE = 0x27;
const SLASH = 0x2f;
const BLANK = 0x20;
const MAX_DIGITS = 3;

const CASED_HEAD = UPPER | UNCASED | MARK;
const CASED_TAIL = LOWER | UNCASED | MARK;
const WORD = LETTER | MARK;

/** The rules of `pat_str` in tiktoken 0.14.0's `openai_public.py`, as a scanner: a regular expression takes twice the time of the whole count. */
export const PIECE_ENDS: Readonly<Record<SplitRules, PieceEnd>> = { cl100k: cl100kEnd, o200k: o200kEnd };

// '(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s+$|\s*[\r\n]|\s+(?!\S)|\s
function cl100kEnd(text: ClassifiedText, start: number): number {
  const { bytes } = text;
  const first = classAt(text, start);
  if (bytes[start] === APOSTROPHE) {
    const end = contractionEnd(bytes, start);
    if (end !== start) return end;
  }
  const word = (first & PREFIX) === 0 ? start : nextCodePoint(bytes, start);
  if ((classAt(text, word) & LETTER) !== 0) return runEnd(text, word, LETTER);
  if ((first & DIGIT) !== 0) return digitsEnd(text, start);
  const symbol = bytes[start] === BLANK ? start + 1 : start;
  if ((classAt(text, symbol) & SYMBOL) !== 0) return runEnd(text, runEnd(text, symbol, SYMBOL), NEWLINE);
  const end = runEnd(text, start, WHITE_SPACE);
  return end === text.sizeBytes ? end : whiteSpaceEnd(text, start, end);
}

// [^\r\n\p{L}\p{N}]?HEAD*TAIL+CONTRACTION?|[^\r\n\p{L}\p{N}]?HEAD+TAIL*CONTRACTION?|\p{N}{1,3}
// | ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+, where HEAD is all letters but lower case, and TAIL all but upper.
function o200kEnd(text: ClassifiedText, start: number): number {
  const { bytes } = text;
  const first = classAt(text, start);
  const word = (first & PREFIX) === 0 ? start : nextCodePoint(bytes, start);
  if ((classAt(text, word) & WORD) !== 0) {
    let end = word;
    let tailEnd = -1;
    for (let found = classAt(text, end); (found & CASED_HEAD) !== 0; found = classAt(text, end)) {
      end += 1;
      if ((found & CASED_TAIL) !== 0) tailEnd = end;
    }
    if ((classAt(text, end) & LOWER) !== 0) end = runEnd(text, end, CASED_TAIL);
    // Capitals after the last letter that can end the first alternative are given back by it.
    else if (tailEnd !== -1) end = tailEnd;
    // A mark before capitals alone: the first alternative matches the mark by itself.
    else if ((first & MARK) !== 0) end = word;
    return contractionEnd(bytes, end);
  }
  if ((first & MARK) !== 0) return contractionEnd(bytes, word);
  if ((first & DIGIT) !== 0) return digitsEnd(text, start);
  const symbol = bytes[start] === BLANK ? start + 1 : start;
  if ((classAt(text, symbol) & SYMBOL) !== 0) {
    let end = runEnd(text, symbol, SYMBOL);
    while ((classAt(text, end) & NEWLINE) !== 0 || bytes[end] === SLASH) end += 1;
    return end;
  }
  return whiteSpaceEnd(text, start, runEnd(text, start, WHITE_SPACE));
}

function classAt(text: ClassifiedText, index: number): number {
  return text.classes[text.source[index] ?? 0] ?? 0;
}

/** Up to the last newline; else all at the end of the text; else all but the last, which goes with what follows. */
function whiteSpaceEnd(text: ClassifiedText, start: number, end: number): number {
  for (let index = end; index > start; index -= 1) if (classAt(text, index - 1) === NEWLINE) return index;
  if (end === text.sizeBytes) return end;
  let last = end - 1;
  while (isContinuation(text.bytes[last] ?? 0)) last -= 1;
  return last > start ? last : end;
}

function runEnd(text: ClassifiedText, start: number, mask: number): number {
  const { source, classes } = text;
  let end = start;
  while (((classes[source[end] ?? 0] ?? 0) & mask) !== 0) end += 1;
  return end;
}

function digitsEnd(text: ClassifiedText, start: number): number {
  let end = nextCodePoint(text.bytes, start);
  for (let count = 1; count < MAX_DIGITS && (classAt(text, end) & DIGIT) !== 0; count += 1) {
    end = nextCodePoint(text.bytes, end);
  }
  return end;
}

/** Behind 's, 't, 'm, 'd, 're, 've or 'll in either case, where one is at `start`; else `start`. */
function contractionEnd(bytes: Uint8Array, start: number): number {
  if (bytes[start] !== APOSTROPHE) return start;
  const first = (bytes[start + 1] ?? 0) | 0x20;
  if (first === 0x73 || first === 0x74 || first === 0x6d || first === 0x64) return start + 2;
  // The long s, U+017F, is an s where case is ignored.
  if (bytes[start + 1] === 0xc5 && bytes[start + 2] === 0xbf) return start + 3;
  const second = (bytes[start + 2] ?? 0) | 0x20;
  const isPair = (second === 0x65 && (first === 0x72 || first === 0x76)) || (first === 0x6c && second === 0x6c);
  return isPair ? start + 3 : start;
}

function nextCodePoint(bytes: Uint8Array, start: number): number {
  const first = bytes[start] ?? 0;
  return start + (first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4);
}

function isContinuation(byte: number): boolean {
  return (byte & 0xc0) === 0x80;
}
