import type { DatasetRole, MethodType } from '../domain/job.js';
import { forEachLine, type Line } from './lines.js';
import {
  MAX_REPORTED_ERRORS,
  describeFound,
  shorten,
  type PreflightError,
  type PreflightReport,
  type RowFormat,
} from './report.js';
import { errorMessage, isFields } from './row-errors.js';
import { checkRow, rowFormat } from './rows.js';

export interface PreflightOptions {
  readonly method: MethodType;
  readonly role: DatasetRole;
  /** 10 for a training file and 1 for a validation file where not given: OpenAI counts only the former. */
  readonly minimumRows?: number;
  /** 16 MiB where not given. A longer line is an error and is not kept. */
  readonly maxLineBytes?: number;
}

const MAX_LINE_BYTES = 16 * 1024 * 1024;
const TRAINING_MINIMUM_ROWS = 10;
const BYTE_ORDER_MARK = '\uFEFF';
const BLANK = /^[ \t\r]*$/;

/**
 * Reads a dataset once, in constant memory, and reports what is wrong with it: all errors counted, the first 100 kept.
 * Wrong rows are the report's, not exceptions: it throws only what `content` throws, and the signal's reason.
 * Blank lines are legal at the end alone.
 */
export async function preflight(
  content: AsyncIterable<Uint8Array>,
  options: PreflightOptions,
  signal: AbortSignal,
): Promise<PreflightReport> {
  const maxLineBytes = options.maxLineBytes ?? MAX_LINE_BYTES;
  const minimumRows = options.minimumRows ?? (options.role === 'training' ? TRAINING_MINIMUM_ROWS : 1);
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const errors: PreflightError[] = [];
  let errorCount = 0;
  let rowCount = 0;
  let format: RowFormat | null = null;
  let firstBlank = 0;
  let lineNumber = 0;

  const report = (line: number, path: string, found: string, expected: string, message: string): void => {
    errorCount += 1;
    if (errors.length < MAX_REPORTED_ERRORS) errors.push({ line, path, found, expected, message });
  };
  const rowError = (path: string, found: unknown, expected: string): void => {
    errorCount += 1;
    if (errors.length >= MAX_REPORTED_ERRORS) return;
    errors.push({ line: lineNumber, path, ...describeError(path, found, expected) });
  };
  const blankLinesWereInside = (endLine: number): void => {
    for (let line = firstBlank; line < endLine; line += 1) {
      report(line, '', 'an empty line', 'a JSON object', 'the line is empty; every line must be a JSON object');
    }
    firstBlank = 0;
  };
  const text = (line: Line, bytes: Uint8Array): string | null => {
    try {
      const decoded = decoder.decode(bytes);
      return line.number === 1 && decoded.startsWith(BYTE_ORDER_MARK) ? decoded.slice(1) : decoded;
    } catch {
      return null;
    }
  };

  await forEachLine(content, { maxLineBytes, signal }, (line) => {
    lineNumber = line.number;
    const decoded = line.bytes === null ? null : text(line, line.bytes);
    if (decoded !== null && (decoded === '' || BLANK.test(decoded))) {
      if (firstBlank === 0) firstBlank = line.number;
      return;
    }
    if (firstBlank !== 0) blankLinesWereInside(line.number);
    rowCount += 1;
    if (line.bytes === null) {
      const limit = `at most ${maxLineBytes} bytes`;
      report(line.number, '', 'a longer line', limit, `the line is too long; a row has ${limit}`);
      return;
    }
    if (decoded === null) {
      report(line.number, '', 'other bytes', 'UTF-8 text', 'the line is not valid UTF-8');
      return;
    }
    let row: unknown;
    try {
      row = JSON.parse(decoded);
    } catch (error) {
      const reason = syntaxReason(error);
      report(line.number, '', `${decoded.length} characters`, 'a JSON object', `the line is not valid JSON${reason}`);
      return;
    }
    if (!isFields(row)) {
      rowError('', row, 'a JSON object');
      return;
    }
    format ??= rowFormat(options.method, row);
    checkRow(row, format, rowError);
  });

  if (rowCount < minimumRows) {
    errorCount += 1;
    const expected = `at least ${minimumRows} ${minimumRows === 1 ? 'row' : 'rows'}`;
    const found = `${rowCount} ${rowCount === 1 ? 'row' : 'rows'}`;
    const message = `the file has ${found}, and needs ${expected}`;
    errors.unshift({ line: null, path: '', found, expected, message });
    errors.splice(MAX_REPORTED_ERRORS);
  }
  return { role: options.role, format, rowCount, errorCount, errors };
}

function describeError(
  path: string,
  found: unknown,
  expected: string,
): Pick<PreflightError, 'found' | 'expected' | 'message'> {
  return { found: describeFound(found), expected, message: errorMessage(path, found, expected) };
}

/** The parser's reason without its excerpt of the line, which can be long. */
function syntaxReason(error: unknown): string {
  if (!(error instanceof SyntaxError)) return '';
  const reason = error.message
    .replace(/, (\.\.\.)?".*is not valid JSON$/s, '')
    .replace(/ in JSON at position/, ' at position');
  // The token it names can be a control character, which a jsonb column refuses.
  return ` (${shorten(reason.replace(/\p{C}/gu, '?'), 100)})`;
}
