import type { RowFormat } from '../preflight-report.js';
import { isFields, type Fields } from '../row-errors.js';
import { modelTokens } from './encodings.js';
import { createRowTokens, type RowTokens } from './row-tokens.js';
import { createTokenizer } from './tokenizer.js';

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

/** English in OpenAI's encodings has about four bytes to a token, and JSON's punctuation makes up for the words it adds. */
const ESTIMATED_BYTES_PER_TOKEN = 4;

/** A counter for one file. The tokenizer is read only once it is needed. */
export function createTokenCounter({ model, exact }: TokenCounterOptions): TokenCounter {
  const { encoding, limit } = modelTokens(model);
  const lazy: { tokens?: RowTokens } = {};
  const countExactly = (row: Fields, format: RowFormat): number => {
    lazy.tokens ??= createRowTokens(createTokenizer(encoding));
    return isFields(row) ? lazy.tokens.count(row, format) : 0;
  };
  return {
    method: exact ? 'exact' : 'estimated',
    encoding: exact ? encoding.name : null,
    limit,
    countRow: (row, format, sizeBytes) =>
      exact ? countExactly(row, format) : Math.ceil(sizeBytes / ESTIMATED_BYTES_PER_TOKEN),
    // A token has at least one byte, and what roles and messages cost is less than the keys and braces around them.
    isOverLimit: (row, format, sizeBytes) => limit !== null && sizeBytes > limit && countExactly(row, format) > limit,
  };
}
