const BLANK = 0x20;
const APOSTROPHE = 0x27;
const LOWER_A = 0x61;
const UPPER_A = 0x41;
const LETTERS = 26;
const FIRST_OTHER = 0x80;

/**
 * Where the piece at `start` ends, if it is what most pieces are: a blank or none, a capital or none, small letters, and
 * then ASCII that no rule joins to them. Else `start`. The rules of both encodings agree there.
 */
export function plainWordEnd(bytes: Uint8Array, start: number): number {
  let end = start;
  let byte = bytes[end] ?? 0;
  if (byte === BLANK) byte = bytes[++end] ?? 0;
  if ((byte - UPPER_A) >>> 0 < LETTERS) byte = bytes[++end] ?? 0;
  const lettersStart = end;
  while ((byte - LOWER_A) >>> 0 < LETTERS) byte = bytes[++end] ?? 0;
  if (end === lettersStart || byte >= FIRST_OTHER || byte === APOSTROPHE) return start;
  return (byte - UPPER_A) >>> 0 < LETTERS ? start : end;
}
