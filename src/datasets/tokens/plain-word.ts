/** The longest word told at a glance. */
export const MAX_PLAIN_BYTES = 12;

const APOSTROPHE = 0x27;
const UPPER_A = 0x41;
const LETTERS = 26;
const FIRST_OTHER = 0x80;
const HIGH_BITS = 0x80808080 | 0;

/** By first byte: how it can be the head of a plain word. */
const NOT_PLAIN = 0;
const SMALL = 1;
const CAPITAL = 2;
/** All that is neither letter, digit nor newline, but the apostrophe, which can begin a contraction. */
const BEFORE_WORD = 3;

/**
 * The length of the piece at `start` if it is what most pieces are: a blank, an opening bracket or the like, or none; a capital
 * or none; small letters; 12 bytes at most; and then ASCII that no rule joins to them. Else 0. The rules of both encodings
 * agree there. Looks at four bytes at once: a loop over the bytes of a word ends where the processor does not expect it,
 * which takes longer than all the rest.
 */
export type PlainWordLength = (bytes: Uint8Array, start: number, one: number, two: number, three: number) => number;

export function createPlainWordLength(): PlainWordLength {
  const heads = Uint8Array.from({ length: 256 }, (_, byte) => headOf(byte));

  // `one` is the first four bytes from `start`, the first in the low bits; `two` and `three` those that follow.
  return (bytes, start, one, two, three) => {
    const head = heads[one & 0xff] ?? NOT_PLAIN;
    if (head === NOT_PLAIN) return 0;
    const headLength = head === SMALL ? 0 : head === BEFORE_WORD && isCapital((one >>> 8) & 0xff) ? 2 : 1;
    let others = othersIn(one) & (HIGH_BITS << (headLength << 3));
    let length = 0;
    if (others === 0) {
      others = othersIn(two);
      length = 4;
      if (others === 0) {
        others = othersIn(three);
        length = 8;
      }
    }
    // The place of the lowest bit that is set; 12 in all where none is.
    length += others === 0 ? 4 : (31 - Math.clz32(others & -others)) >>> 3;
    const next = bytes[start + length] ?? 0;
    return length === headLength || next >= FIRST_OTHER || next === APOSTROPHE || isSmall(next) || isCapital(next)
      ? 0
      : length;
  };
}

function headOf(byte: number): number {
  if (isSmall(byte)) return SMALL;
  if (isCapital(byte)) return CAPITAL;
  const isDigit = byte >= 0x30 && byte <= 0x39;
  const isNewline = byte === 0x0a || byte === 0x0d;
  return byte >= FIRST_OTHER || byte === APOSTROPHE || isDigit || isNewline ? NOT_PLAIN : BEFORE_WORD;
}

/** The high bit of each of the four bytes that is no small letter. */
function othersIn(word: number): number {
  const low = word & 0x7f7f7f7f;
  const fromA = (low + 0x1f1f1f1f) | 0;
  const aboveZ = (low + 0x05050505) | 0;
  return ~(fromA & ~aboveZ & ~word) & HIGH_BITS;
}

function isCapital(byte: number): boolean {
  return (byte - UPPER_A) >>> 0 < LETTERS;
}

function isSmall(byte: number): boolean {
  return (byte - UPPER_A - 0x20) >>> 0 < LETTERS;
}
