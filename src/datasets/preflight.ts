import { HEAD_BYTES, recogniseForeignFile } from './file-kind.js';
import { readHead, type FileHead } from './file-head.js';
import { forEachLine, type Line } from './lines.js';
import type { PreflightOptions, PreflightReport } from './preflight-report.js';
import { createProblemList, type ProblemList } from './problem-list.js';
import { createRowCheck } from './row-check.js';
import { createRowHashes } from './row-hashes.js';
import { createRowTally, type RowTally } from './row-tally.js';
import { createTokenTally } from './token-tally.js';
import { createTokenCounter } from './tokens/index.js';

const MAX_ROW_BYTES = 16 * 1024 * 1024;
const TRAINING_MINIMUM_ROWS = 10;
const MAX_IMAGE_ROWS = 50_000;
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const CARRIAGE_RETURN = 0x0d;
const ROW = 'a JSON object';

/** What is known of a file before its problems and tokens. */
interface Counts {
  readonly tally: RowTally;
  sizeBytes: number;
  rowCount: number;
  duplicateRowCount: number;
  firstDuplicateLine: number;
}

/**
 * Reads a dataset once, in constant memory, and reports what is wrong with it: all problems counted, the first 100 errors and
 * warnings kept. A file that is something else altogether, by its head, and one with too many rows are not read further;
 * `sizeBytes` is then what was read. Wrong rows are the report's, not exceptions: it throws only what `content` throws, and
 * the signal's reason.
 */
export async function preflight(
  content: AsyncIterable<Uint8Array>,
  options: PreflightOptions,
  signal: AbortSignal,
): Promise<PreflightReport> {
  const head = await readHead(content, HEAD_BYTES, signal);
  try {
    return await checkFile(head, options, signal);
  } finally {
    await head.close();
  }
}

async function checkFile(head: FileHead, options: PreflightOptions, signal: AbortSignal): Promise<PreflightReport> {
  const { method, role, maximumRows = Infinity, maxRowBytes = MAX_ROW_BYTES } = options;
  const minimumRows = options.minimumRows ?? (role === 'training' ? TRAINING_MINIMUM_ROWS : 1);
  const problems = createProblemList();
  const counts: Counts = {
    tally: createRowTally(),
    sizeBytes: head.bytes.length,
    rowCount: 0,
    duplicateRowCount: 0,
    firstDuplicateLine: 0,
  };
  const { tally } = counts;
  const counter = createTokenCounter({ model: options.model, exact: options.exactTokens === true });
  const tokens = createTokenTally(counter, options.epochs ?? null);
  const rows = createRowCheck({ method, excerpts: options.excerpts === true, problems, tally, counter, tokens });
  const hashes = await createRowHashes();
  let firstBlank = 0;

  const takeLine = ({ number, bytes, isTerminated }: Line): boolean => {
    const row = bytes === null || number > 1 ? bytes : withoutMark(bytes, problems);
    if (row !== null && isBlank(row)) {
      if (firstBlank === 0) firstBlank = number;
      return true;
    }
    if (counts.rowCount >= maximumRows) {
      const expected = `at most ${rowsText(maximumRows)}`;
      problems.addOfFile(
        'too_many_rows',
        'more rows',
        expected,
        `the file has more rows than are allowed: ${expected}`,
      );
      return false;
    }
    if (firstBlank !== 0) {
      reportBlankLines(firstBlank, number, problems);
      firstBlank = 0;
    }
    counts.rowCount += 1;
    if (row === null) {
      const expected = `at most ${maxRowBytes} bytes`;
      const message = `the line is too long; a row has ${expected}`;
      problems.add('line_too_long', () => ({
        line: number,
        column: null,
        path: '',
        found: 'a longer line',
        expected,
        message,
      }));
      return true;
    }
    if (hashes.add(row.at(-1) === CARRIAGE_RETURN ? row.subarray(0, -1) : row)) {
      counts.duplicateRowCount += 1;
      if (counts.firstDuplicateLine === 0) counts.firstDuplicateLine = number;
    }
    rows.check(number, row, isTerminated);
    return true;
  };

  const foreign = recogniseForeignFile(head.bytes, head.isWhole);
  if (foreign === null) {
    counts.sizeBytes = await forEachLine(head.content, { maxRowBytes, signal }, takeLine);
    checkCounts(counts, minimumRows, problems);
  } else problems.addOfFile(foreign.check, foreign.found, foreign.expected, foreign.message);
  const errors = problems.errors();
  const warnings = problems.warnings();
  return {
    role,
    method,
    format: rows.format(),
    sizeBytes: counts.sizeBytes,
    rowCount: counts.rowCount,
    errorCount: errors.count,
    errors: errors.problems,
    warningCount: warnings.count,
    warnings: warnings.problems,
    roles: tally.roles,
    imageRowCount: tally.imageRowCount,
    imageCount: tally.imageCount,
    duplicateRowCount: counts.duplicateRowCount,
    duplicatesAreAtLeast: hashes.hasMissed(),
    tokens: tokens.counts(),
  };
}

/** What only the whole file shows. */
function checkCounts(counts: Counts, minimumRows: number, problems: ProblemList): void {
  const { rowCount, duplicateRowCount, firstDuplicateLine, tally } = counts;
  const found = rowsText(rowCount);
  if (rowCount === 0) {
    const expected = `at least ${rowsText(Math.max(minimumRows, 1))}`;
    problems.addOfFile('empty_file', found, expected, `the file is empty, and needs ${expected}`);
  } else if (rowCount < minimumRows) {
    const expected = `at least ${rowsText(minimumRows)}`;
    problems.addOfFile('too_few_rows', found, expected, `the file has ${found}, and needs ${expected}`);
  }
  if (tally.imageRowCount > MAX_IMAGE_ROWS) {
    const imageRows = rowsText(tally.imageRowCount);
    const expected = `at most ${rowsText(MAX_IMAGE_ROWS)} with images`;
    problems.addOfFile(
      'too_many_image_rows',
      imageRows,
      expected,
      `the file has ${imageRows} with images, and may have ${expected}`,
    );
  }
  if (duplicateRowCount > 0) {
    const equal = duplicateRowCount === 1 ? '1 row that equals' : `${duplicateRowCount} rows that equal`;
    const message = `the file has ${equal} an earlier one, first on line ${firstDuplicateLine}`;
    problems.addOfFile('duplicate_rows', rowsText(duplicateRowCount), 'rows that differ', message);
  }
}

function reportBlankLines(firstLine: number, endLine: number, problems: ProblemList): void {
  problems.addLines('blank_line', firstLine, endLine, (line) => ({
    line,
    column: null,
    path: '',
    found: 'an empty line',
    expected: ROW,
    message: 'the line is empty; every line must be a JSON object',
  }));
}

function withoutMark(bytes: Buffer, problems: ProblemList): Buffer {
  if (!bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)) return bytes;
  problems.add('byte_order_mark', () => ({
    line: 1,
    column: 1,
    path: '',
    found: 'a byte order mark',
    expected: ROW,
    message: 'the file begins with a byte order mark, which is skipped here; other readers may not skip it',
  }));
  return bytes.subarray(BYTE_ORDER_MARK.length);
}

/** Spaces, tabs and carriage returns alone. */
function isBlank(bytes: Buffer): boolean {
  for (const byte of bytes) {
    if (byte !== 0x20 && byte !== 0x09 && byte !== CARRIAGE_RETURN) return false;
  }
  return true;
}

const rowsText = (count: number): string => (count === 1 ? '1 row' : `${count} rows`);
