import type { DatasetRole } from '../domain/job.js';

/** What the rows of a file are: decided by method, and for `supervised` by the first row. */
export type RowFormat = 'chat' | 'completion' | 'preference' | 'reinforcement';

/** One thing wrong with a file. */
export interface PreflightError {
  /** Counted from 1; null where the file as a whole is at fault. */
  readonly line: number | null;
  /** Where in the row, such as `messages[2].role`; empty for the row itself. */
  readonly path: string;
  /** What stands there, shortened. */
  readonly found: string;
  readonly expected: string;
  /** The sentence for people, without the line. */
  readonly message: string;
}

export interface PreflightReport {
  readonly role: DatasetRole;
  /** Null where no row could be read. */
  readonly format: RowFormat | null;
  /** Lines that are not blank, wrong ones included. */
  readonly rowCount: number;
  readonly errorCount: number;
  /** The first 100, in the order of the file, after those of the file as a whole. */
  readonly errors: readonly PreflightError[];
}

/** How many errors a report keeps; all are counted. */
export const MAX_REPORTED_ERRORS = 100;

const MAX_FOUND_CHARACTERS = 60;
const MAX_STRING_CHARACTERS = 20;
const MAX_SHOWN_ERRORS = 10;

/**
 * A value as an error shows it: JSON where it is short enough to be a slip (`"assistent"`), else its kind and size. Errors
 * go where rows never do: events, logs, Temporal's history.
 */
export function describeFound(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (typeof value === 'string') {
    return value.length <= MAX_STRING_CHARACTERS ? quote(value) : `a string of ${value.length} characters`;
  }
  if (value === null || typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : `a list of ${value.length}`;
  const keys = Object.keys(value);
  return keys.length === 0
    ? 'an empty object'
    : shorten(`an object with ${keys.slice(0, 10).map(describeKey).join(', ')}`);
}

/** A key as an error shows it: as it is where it is short and plain, else quoted and shortened. */
export function describeKey(key: string): string {
  return /^[\w$-]{1,60}$/.test(key) ? key : quote(key);
}

/** A string in JSON's quotes, which also hide control characters and broken surrogates; at most 60 characters. */
function quote(text: string): string {
  return shorten(JSON.stringify(shorten(text, MAX_FOUND_CHARACTERS - 2)));
}

/** At most `limit` characters, the cut shown by an ellipsis. */
export function shorten(text: string, limit: number = MAX_FOUND_CHARACTERS): string {
  if (text.length <= limit) return text;
  // A cut between the halves of a surrogate pair would leave text that PostgreSQL refuses.
  return `${text.slice(0, limit - 1).replace(/[\uD800-\uDBFF]$/, '')}…`;
}

/** Says in one paragraph what is wrong with a file, naming the first lines; empty for a file without errors. */
export function formatPreflightError(report: PreflightReport): string {
  if (report.errorCount === 0) return '';
  const shown = report.errors.slice(0, MAX_SHOWN_ERRORS);
  const count = report.errorCount === 1 ? 'an error' : `${report.errorCount} errors`;
  const sentences = shown.map((error) =>
    error.line === null ? error.message : `line ${error.line}: ${error.message}`,
  );
  const hidden = report.errorCount - shown.length;
  const rest = hidden === 0 ? '' : ` … and ${hidden} more.`;
  return `The ${report.role} file has ${count}. ${sentences.map((sentence) => `${sentence}.`).join(' ')}${rest}`;
}
