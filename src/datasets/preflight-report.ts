import type { DatasetRole, MethodType } from '../domain/job.js';
import type { CheckName } from './checks.js';

/** What the rows of a file are: decided by method, and for `supervised` by the first row. */
export type RowFormat = 'chat' | 'completion' | 'preference' | 'reinforcement';

/** One thing wrong with a file, or worth knowing before money is spent. */
export interface PreflightProblem {
  /** Which check of `docs/datasets.md`. */
  readonly check: CheckName;
  /** Counted from 1; null where the file as a whole is at fault. */
  readonly line: number | null;
  /** Character within the line, from 1; null where it is not known. */
  readonly column: number | null;
  /** Where in the row, such as `messages[2].role`; empty for the row itself. */
  readonly path: string;
  /** What stands there, shortened; never more of a row than an event or a log may have. */
  readonly found: string;
  readonly expected: string;
  /** The sentence for people, without the line. */
  readonly message: string;
  /** The part of the line around the column; only where the reader asked for it, because it is data of the user's. */
  readonly excerpt?: Excerpt;
}

export interface Excerpt {
  /** One line without control characters, shortened on both sides. */
  readonly text: string;
  /** Where the caret goes below it, from 0. */
  readonly caret: number;
}

export interface TokenCounts {
  /** `estimated`: from the number of bytes, without a tokenizer; good for an order of magnitude. */
  readonly method: 'exact' | 'estimated';
  /** The tokenizer's encoding, such as `o200k_base`; null for estimates. */
  readonly encoding: string | null;
  /** Of one row, as the next two; 0 where there is no row. */
  readonly minimum: number;
  readonly median: number;
  readonly maximum: number;
  readonly total: number;
  /** Most tokens of a row that the model trains on; the vendor cuts what is beyond. Null where it is not known. */
  readonly limit: number | null;
  /** Counted exactly also where the rest is estimated. */
  readonly overLimitRowCount: number;
  /** Null where the caller did not say. */
  readonly epochs: number | null;
  /** `total` times `epochs`. */
  readonly trainedTotal: number | null;
}

export interface PreflightReport {
  readonly role: DatasetRole;
  readonly method: MethodType;
  /** Null where no row could be read. */
  readonly format: RowFormat | null;
  readonly sizeBytes: number;
  /** Lines that are not blank, wrong ones included. */
  readonly rowCount: number;
  readonly errorCount: number;
  /** The first 100, in the order of the file, after those of the file as a whole. */
  readonly errors: readonly PreflightProblem[];
  readonly warningCount: number;
  /** The first 100. */
  readonly warnings: readonly PreflightProblem[];
  /** How many messages each role has. */
  readonly roles: Readonly<Record<string, number>>;
  /** Rows that have an image, and images in all. */
  readonly imageRowCount: number;
  readonly imageCount: number;
  /** Rows that are byte for byte equal to an earlier one. */
  readonly duplicateRowCount: number;
  /** True where the file has more rows than are compared: there may be more. */
  readonly duplicatesAreAtLeast: boolean;
  /** Null where no row could be counted. */
  readonly tokens: TokenCounts | null;
}

export interface PreflightOptions {
  readonly method: MethodType;
  readonly role: DatasetRole;
  /** What is to be tuned: decides the tokenizer and the limit of tokens. */
  readonly model?: string;
  /** For the total of trained tokens. */
  readonly epochs?: number;
  /** Count tokens with the model's tokenizer: several times slower. */
  readonly exactTokens?: boolean;
  /** 10 for a training file and 1 for a validation file where not given: OpenAI counts only the former. */
  readonly minimumRows?: number;
  readonly maximumRows?: number;
  /** 16 MiB where not given. A longer line is an error and is not kept. */
  readonly maxRowBytes?: number;
  /** Show the lines at fault: see `Excerpt`. */
  readonly excerpts?: boolean;
}
