import type { RowFormat } from '../preflight-report.js';
import type { Fields } from '../row-errors.js';

export interface TokenCounterOptions {
  readonly model: string | undefined;
  /** Count with the model's tokenizer rather than from the number of bytes. */
  readonly exact: boolean;
}

export interface TokenCounter {
  readonly method: 'exact' | 'estimated';
  /** The tokenizer's encoding; null for estimates. */
  readonly encoding: string | null;
  /** Most tokens of a row that the model trains on; null where it is not known. */
  readonly limit: number | null;
  /** Tokens of one row. `sizeBytes` is that of its line. Takes any row, also one with errors: what is not understood counts nothing. */
  countRow(row: Fields, format: RowFormat, sizeBytes: number): number;
  /** Exact for both methods; false where the limit is not known. */
  isOverLimit(row: Fields, format: RowFormat, sizeBytes: number): boolean;
}

export function createTokenCounter(options: TokenCounterOptions): TokenCounter {
  return {
    method: options.exact ? 'exact' : 'estimated',
    encoding: null,
    limit: null,
    countRow: (row, format, sizeBytes) => Math.ceil(sizeBytes / 4),
    isOverLimit: () => false,
  };
}
