import xxhash from 'xxhash-wasm';

/** Finds rows that were there before, by 64 bits of hash. */
export interface RowHashes {
  /** Whether the same bytes were added before; false for all that comes after the table is full. */
  add(row: Uint8Array): boolean;
  /** Whether a row came that is not remembered. */
  hasMissed(): boolean;
}

const FIRST_SLOTS = 2 ** 12;
/** 32 MiB of hashes: three million rows. */
const MAX_SLOTS = 2 ** 22;
const MAX_LOAD = 0.75;

/** @param maxSlots a power of two; tests make it small */
export async function createRowHashes(maxSlots: number = MAX_SLOTS): Promise<RowHashes> {
  const hasher = await xxhash();
  const hash = new BigUint64Array(1);
  const halves = new Uint32Array(hash.buffer);
  let slots = Math.min(FIRST_SLOTS, maxSlots);
  // Two words a slot; both 0 where it is free.
  let table = new Uint32Array(slots * 2);
  let used = 0;
  let missed = false;

  const insert = (low: number, high: number): boolean => {
    let slot = low & (slots - 1);
    for (;;) {
      const slotLow = table[slot * 2];
      const slotHigh = table[slot * 2 + 1];
      if (slotLow === low && slotHigh === high) return false;
      if (slotLow === 0 && slotHigh === 0) break;
      slot = (slot + 1) & (slots - 1);
    }
    table[slot * 2] = low;
    table[slot * 2 + 1] = high;
    return true;
  };
  const has = (low: number, high: number): boolean => {
    for (let slot = low & (slots - 1); ; slot = (slot + 1) & (slots - 1)) {
      if (table[slot * 2] === low && table[slot * 2 + 1] === high) return true;
      if (table[slot * 2] === 0 && table[slot * 2 + 1] === 0) return false;
    }
  };
  const grow = (): void => {
    const old = table;
    slots *= 2;
    table = new Uint32Array(slots * 2);
    for (let index = 0; index < old.length; index += 2) {
      const low = old[index] ?? 0;
      const high = old[index + 1] ?? 0;
      if (low !== 0 || high !== 0) insert(low, high);
    }
  };

  return {
    add(row) {
      hash[0] = hasher.h64Raw(row);
      const high = halves[1] ?? 0;
      const low = halves[0] === 0 && high === 0 ? 1 : (halves[0] ?? 0);
      if (used >= slots * MAX_LOAD && slots < maxSlots) grow();
      if (used >= slots * MAX_LOAD) {
        const isKnown = has(low, high);
        missed ||= !isKnown;
        return isKnown;
      }
      if (!insert(low, high)) return true;
      used += 1;
      return false;
    },
    hasMissed: () => missed,
  };
}
