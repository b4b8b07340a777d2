import { hashBytes, type BytePairRanks } from './byte-pair-ranks.js';

/** How many tokens `bytes[start, end)`, a piece that is no token itself, becomes. */
export type CountMerged = (bytes: Uint8Array, start: number, end: number) => number;

const NONE = -1;
/** Up to here a search through all pairs is faster than a heap. */
const SMALL_BYTES = 96;
/** Longer than any token of the encodings (128 bytes in both): no need to look. */
const MAX_TOKEN_BYTES = 128;

/**
 * Byte pair encoding: joins the adjacent pair that makes the token of the lowest rank, the leftmost of equals, until none is
 * left. Pieces of any length: the time of a long one grows with n log n.
 */
export function createByteMerge(ranks: BytePairRanks): CountMerged {
  const smallStarts = new Int32Array(SMALL_BYTES + 1);
  const smallRanks = new Int32Array(SMALL_BYTES + 1);

  const rankOf = (bytes: Uint8Array, start: number, end: number): number =>
    end - start > MAX_TOKEN_BYTES ? NONE : ranks.find(bytes, start, end, hashBytes(bytes, start, end));
  const pairRank = (bytes: Uint8Array, start: number): number =>
    ranks.findPair(bytes[start] ?? 0, bytes[start + 1] ?? 0);

  const countSmall: CountMerged = (bytes, start, end) => {
    let parts = end - start;
    for (let part = 0; part <= parts; part += 1) {
      smallStarts[part] = start + part;
      smallRanks[part] = part + 2 <= parts ? pairRank(bytes, start + part) : NONE;
    }
    for (;;) {
      let lowest = NONE;
      let at = NONE;
      for (let part = 0; part < parts - 1; part += 1) {
        const rank = smallRanks[part] ?? NONE;
        if (rank !== NONE && (lowest === NONE || rank < lowest)) {
          lowest = rank;
          at = part;
        }
      }
      if (at === NONE) return parts;
      // By hand: for a few numbers a call of copyWithin takes longer.
      for (let part = at + 1; part < parts; part += 1) {
        smallStarts[part] = smallStarts[part + 1] ?? 0;
        smallRanks[part] = smallRanks[part + 1] ?? NONE;
      }
      parts -= 1;
      smallRanks[at] = at + 2 <= parts ? rankOf(bytes, smallStarts[at] ?? 0, smallStarts[at + 2] ?? 0) : NONE;
      if (at > 0) smallRanks[at - 1] = rankOf(bytes, smallStarts[at - 1] ?? 0, smallStarts[at + 1] ?? 0);
    }
  };

  const countLarge: CountMerged = (bytes, start, end) => {
    const length = end - start;
    // Parts are known by the position of their first byte; `next[p]` is the part behind, `rank[p]` that of both together.
    const next = new Int32Array(length + 1);
    const previous = new Int32Array(length + 1);
    const pairRanks = new Int32Array(length + 1).fill(NONE);
    const heap = createHeap();
    const consider = (part: number): void => {
      const second = next[part] ?? length;
      const rank = second >= length ? NONE : rankOf(bytes, start + part, start + (next[second] ?? length));
      pairRanks[part] = rank;
      if (rank !== NONE) heap.push(rank * 2 ** 32 + part);
    };
    for (let part = 0; part <= length; part += 1) {
      next[part] = Math.min(part + 1, length);
      previous[part] = part - 1;
    }
    for (let part = 0; part < length; part += 1) consider(part);
    let parts = length;
    for (let key = heap.pop(); key !== undefined; key = heap.pop()) {
      const rank = Math.floor(key / 2 ** 32);
      // Made an integer also in the engine: a float here slows everything that takes positions.
      const part = (key % 2 ** 32) | 0;
      // An entry of a pair that has changed since.
      if (pairRanks[part] !== rank) continue;
      const second = next[part] ?? length;
      const third = next[second] ?? length;
      pairRanks[second] = NONE;
      next[part] = third;
      previous[third] = part;
      parts -= 1;
      consider(part);
      const before = previous[part] ?? NONE;
      if (before !== NONE) consider(before);
    }
    return parts;
  };

  return (bytes, start, end) =>
    end - start <= SMALL_BYTES ? countSmall(bytes, start, end) : countLarge(bytes, start, end);
}

interface Heap {
  push(key: number): void;
  /** The lowest; undefined where there is none. */
  pop(): number | undefined;
}

function createHeap(): Heap {
  const keys: number[] = [];
  return {
    push: (key) => {
      let index = keys.length;
      keys.push(key);
      while (index > 0) {
        const parent = (index - 1) >> 1;
        const parentKey = keys[parent] ?? 0;
        if (parentKey <= key) break;
        keys[index] = parentKey;
        index = parent;
      }
      keys[index] = key;
    },
    pop: () => {
      const lowest = keys[0];
      const last = keys.pop();
      if (last === undefined || keys.length === 0) return lowest;
      let index = 0;
      for (;;) {
        let child = index * 2 + 1;
        if (child >= keys.length) break;
        if (child + 1 < keys.length && (keys[child + 1] ?? 0) < (keys[child] ?? 0)) child += 1;
        const childKey = keys[child] ?? 0;
        if (childKey >= last) break;
        keys[index] = childKey;
        index = child;
      }
      keys[index] = last;
      return lowest;
    },
  };
}
