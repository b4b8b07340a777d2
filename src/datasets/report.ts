import type { PreflightReport } from './preflight-report.js';

/** How many errors a report keeps, and how many warnings; all are counted. */
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
