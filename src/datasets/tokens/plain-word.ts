/** The longest word told at a glance. */
export const MAX_PLAIN_BYTES = 12;

const BLANK = 0x20;
const APOSTROPHE = 0x27;
const UPPER_A = 0x41;
const LETTERS = 26;
const FIRST_OTHER = 0x80;
const HIGH_BITS = 0x80808080 | 0;

/**
 * The length of the piece at `start` if it is what most pieces are: a blank or none, a capital or none, small letters, 12 bytes
 * at most, and then ASCII that no rule joins to them. Else 0. The rules of both encodings agree there. Looks at four bytes at
 * once: a loop over the bytes of a word ends where the processor does not expect it, which takes longer than all the rest.
 *
 * @param one the first four bytes from `start`, the first in the low bits; `two` and `three` those that follow
 */
export function plainWordLength(bytes: Uint8Array, start: number, one: number, two: number, three: number): number {
  const first = one & 0xff;
  let lettersMask = HIGH_BITS;
  let head = 0;
  if (first === BLANK) {
    head = isCapital((one >>> 8) & 0xff) ? 2 : 1;
    lettersMask = head === 2 ? 0x80800000 | 0 : 0x80808000 | 0;
  } else if (isCapital(first)) {
    head = 1;
    lettersMask = 0x80808000 | 0;
  }
  let others = othersIn(one) & lettersMask;
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
  return length === head || next >= FIRST_OTHER || next === APOSTROPHE || isSmall(next) || isCapital(next) ? 0 : length;
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
