import type { TokenCounts } from './preflight-report.js';
import type { TokenCounter } from './tokens/index.js';

export interface TokenTally {
  add(tokens: number, isOverLimit: boolean): void;
  /** Null where nothing was added. */
  counts(): TokenCounts | null;
}

/** Rows up to this are counted by length in a fixed table; longer ones are few in a file of any size. */
const TABLE_TOKENS = 2 ** 17;

/** @param epochs null where it is not known */
export function createTokenTally(counter: TokenCounter, epochs: number | null): TokenTally {
  const table = new Uint32Array(TABLE_TOKENS);
  const longRows = new Map<number, number>();
  let rowCount = 0;
  let minimum = Infinity;
  let maximum = 0;
  let total = 0;
  let overLimitRowCount = 0;

  /** Of an even number of rows, the smaller of the two in the middle. */
  const median = (): number => {
    let left = Math.ceil(rowCount / 2);
    for (let tokens = 0; tokens < TABLE_TOKENS; tokens += 1) {
      left -= table[tokens] ?? 0;
      if (left <= 0) return tokens;
    }
    for (const [tokens, count] of [...longRows].sort(([one], [other]) => one - other)) {
      left -= count;
      if (left <= 0) return tokens;
    }
    return maximum;
  };
  return {
    add(tokens, isOverLimit) {
      rowCount += 1;
      total += tokens;
      minimum = Math.min(minimum, tokens);
      maximum = Math.max(maximum, tokens);
      if (isOverLimit) overLimitRowCount += 1;
      if (tokens < TABLE_TOKENS) table[tokens] = (table[tokens] ?? 0) + 1;
      else longRows.set(tokens, (longRows.get(tokens) ?? 0) + 1);
    },
    counts() {
      if (rowCount === 0) return null;
      const { method, encoding, limit } = counter;
      const trainedTotal = epochs === null ? null : total * epochs;
      return {
        method,
        encoding,
        minimum,
        median: median(),
        maximum,
        total,
        limit,
        overLimitRowCount,
        epochs,
        trainedTotal,
      };
    },
  };
}
