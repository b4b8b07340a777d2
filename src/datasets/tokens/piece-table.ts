/** How far behind the text a table may read. */
export const ROOM_BYTES = 32;
export const MAX_SHORT_BYTES = 12;
export const MAX_LONG_BYTES = 28;

const LINE_WORDS = 16;
const MASKS = [0, 0xff, 0xffff, 0xff_ffff, -1] as const;
const MAX_COUNT = 0xff;

/**
 * How many tokens the pieces of 1 to 12 bytes have that were seen of late, in a table of fixed size. A piece is given as its
 * bytes in three numbers, zeros behind it. The entries where a piece may be lie in one line of the processor's cache: what
 * a count waits for is memory.
 */
export interface ShortPieceTable {
  /** 0 where the piece is not known. */
  find(one: number, two: number, three: number, length: number): number;
  /** For a piece that `find` does not know; the oldest of its line is forgotten. */
  keep(one: number, two: number, three: number, length: number, count: number): void;
}

/**
 * An entry is 16 bytes: the piece, and `length << 8 | count`.
 *
 * @param lineCount lines of four entries, 64 bytes; a power of two
 */
export function createShortPieceTable(lineCount: number): ShortPieceTable {
  const entries = new Int32Array(lineCount * LINE_WORDS);
  const lineMask = lineCount - 1;

  /** So that what is frequent is found first, and forgotten last. */
  const toFront = (entry: number, line: number): void => {
    for (let word = 0; word < 4; word += 1) {
      const moved = entries[entry + word] ?? 0;
      entries[entry + word] = entries[line + word] ?? 0;
      entries[line + word] = moved;
    }
  };
  return {
    find: (one, two, three, length) => {
      const line = (mix(one, two, three + length) & lineMask) * LINE_WORDS;
      for (let entry = line; entry < line + LINE_WORDS; entry += 4) {
        if (entries[entry] !== one || entries[entry + 1] !== two || entries[entry + 2] !== three) continue;
        const value = entries[entry + 3] ?? 0;
        if (value >>> 8 !== length) continue;
        if (entry !== line) toFront(entry, line);
        return value & MAX_COUNT;
      }
      return 0;
    },
    keep: (one, two, three, length, count) => {
      const line = (mix(one, two, three + length) & lineMask) * LINE_WORDS;
      // By hand: for so few a call of copyWithin takes longer.
      for (let word = line + LINE_WORDS - 1; word >= line + 4; word -= 1) entries[word] = entries[word - 4] ?? 0;
      entries[line] = one;
      entries[line + 1] = two;
      entries[line + 2] = three;
      entries[line + 3] = (length << 8) | count;
    },
  };
}

/** The same for pieces of 13 to 28 bytes, read from the text with `ROOM_BYTES` more behind it. */
export interface LongPieceTable {
  /** 0 where the piece is not known. */
  find(view: DataView, start: number, length: number): number;
  keep(view: DataView, start: number, length: number, count: number): void;
}

/**
 * An entry is 32 bytes.
 *
 * @param lineCount lines of two entries, 64 bytes; a power of two
 */
export function createLongPieceTable(lineCount: number): LongPieceTable {
  const entries = new Int32Array(lineCount * LINE_WORDS);
  const masks = Array.from({ length: 4 }, (_, index) => masksOf(12 + index * 4));
  const piece = new Int32Array(7);
  const lineMask = lineCount - 1;

  /** Puts the piece into `piece`, and answers where its line is. */
  const read = (view: DataView, start: number, length: number): number => {
    const one = view.getInt32(start, true);
    const two = view.getInt32(start + 4, true);
    const three = view.getInt32(start + 8, true);
    piece[0] = one;
    piece[1] = two;
    piece[2] = three;
    let mixed = mix(one, two, three + length);
    for (let index = 3; index < 7; index += 1) {
      const word = view.getInt32(start + index * 4, true) & (masks[index - 3]?.[length] ?? 0);
      piece[index] = word;
      mixed = Math.imul(mixed ^ word, 0x9e3779b1);
    }
    return ((mixed ^ (mixed >>> 15)) & lineMask) * LINE_WORDS;
  };
  const isAt = (entry: number): boolean => {
    for (let index = 0; index < 7; index += 1) if (entries[entry + index] !== piece[index]) return false;
    return true;
  };
  return {
    find: (view, start, length) => {
      const line = read(view, start, length);
      for (let entry = line; entry < line + LINE_WORDS; entry += 8) {
        const value = entries[entry + 7] ?? 0;
        if (value >>> 8 === length && isAt(entry)) return value & MAX_COUNT;
      }
      return 0;
    },
    keep: (view, start, length, count) => {
      const line = read(view, start, length);
      for (let word = 0; word < 8; word += 1) entries[line + 8 + word] = entries[line + word] ?? 0;
      for (let word = 0; word < 7; word += 1) entries[line + word] = piece[word] ?? 0;
      entries[line + 7] = (length << 8) | count;
    },
  };
}

function mix(one: number, two: number, three: number): number {
  const mixed = Math.imul(one, 0x9e3779b1) ^ Math.imul(two, 0x85ebca77) ^ Math.imul(three, 0xc2b2ae3d);
  const again = Math.imul(mixed ^ (mixed >>> 15), 0x2c1b3c6d);
  return again ^ (again >>> 13);
}

/** For each length of a piece, which bits of the four bytes at `offset` are the piece's. */
function masksOf(offset: number): Int32Array {
  return Int32Array.from(
    { length: MAX_LONG_BYTES + 1 },
    (_, length) => MASKS[Math.min(4, Math.max(0, length - offset))] ?? 0,
  );
}
