import type { MethodType } from '../domain/job.js';
import { CHECKS, type CheckName } from './checks.js';
import { createExcerpt, findOffset } from './excerpt.js';
import { walkJson } from './json-walk.js';
import { decodeLine } from './line-text.js';
import type { PreflightProblem, RowFormat } from './preflight-report.js';
import type { ProblemDetails, ProblemList } from './problem-list.js';
import { describeFound } from './report.js';
import { formatPath, isFields, problemMessage, type Path, type RowProblems } from './row-errors.js';
import { findFlaws, mayHaveFlaws } from './row-flaws.js';
import type { RowTally } from './row-tally.js';
import { checkRow, rowFormat } from './rows.js';
import type { TokenTally } from './token-tally.js';
import type { TokenCounter } from './tokens/index.js';

export interface RowCheckOptions {
  readonly method: MethodType;
  readonly excerpts: boolean;
  readonly problems: ProblemList;
  readonly tally: RowTally;
  readonly counter: TokenCounter;
  readonly tokens: TokenTally;
}

export interface RowCheck {
  /** @param isTerminated false for a last line without newline: a file that was cut off ends in one */
  check(line: number, bytes: Buffer, isTerminated: boolean): void;
  /** Null until a row could be read. */
  format(): RowFormat | null;
}

type FoundProblem = Pick<PreflightProblem, 'found' | 'expected' | 'message'> & { readonly path?: string };

const ROW = 'a JSON object';

/** Checks lines that are not blank, one after the other: from the bytes to the rules of the format. */
export function createRowCheck({ method, excerpts, problems, tally, counter, tokens }: RowCheckOptions): RowCheck {
  let format: RowFormat | null = null;
  let lineNumber = 0;
  let text = '';

  const placed = (offset: number | null, { path = '', found, expected, message }: FoundProblem): ProblemDetails => {
    const column = offset === null ? null : offset + 1;
    const place = { line: lineNumber, column, path, found, expected, message };
    return excerpts ? { ...place, excerpt: createExcerpt(text, offset ?? 0) } : place;
  };
  const report = (check: CheckName, offset: number | null, problem: FoundProblem): void => {
    problems.add(check, () => placed(offset, problem));
  };
  const rowProblem: RowProblems = (check, path, found, expected) => {
    problems.add(check, () => {
      const shown = formatPath(path);
      const verb = CHECKS[check].severity === 'error' ? 'must' : 'should';
      const message = problemMessage(shown, found, expected, verb);
      const offset = findOffset(text, path, keyAtFault(check, path) ? 'key' : 'value');
      return placed(offset, { path: shown, found: describeFound(found), expected, message });
    });
  };
  const reportCut = (): void => {
    const expected = 'the end of the row';
    const message = 'the line ends within its row: the file was cut off';
    report('truncated_line', text.length, { found: 'the end of the file', expected, message });
  };

  /** Undefined where the line cannot be read as JSON. */
  const read = (bytes: Buffer, isTerminated: boolean): unknown => {
    const decoded = decodeLine(bytes);
    text = decoded.text;
    if (decoded.faultAt !== null) {
      if (decoded.endsEarly && !isTerminated) reportCut();
      else {
        const at = decoded.faultAt;
        const found = `the byte 0x${(bytes[at] ?? 0).toString(16).toUpperCase().padStart(2, '0')}`;
        const message = `the line is not valid UTF-8: ${found} at byte ${at + 1}`;
        // The characters before the fault, which are as they stand in the text.
        problems.add('invalid_utf8', () =>
          placed(bytes.toString('utf8', 0, at).length, { found, expected: 'UTF-8 text', message }),
        );
      }
      return undefined;
    }
    const nul = text.indexOf('\0');
    if (nul !== -1) {
      const message = `the line has a NUL byte at column ${nul + 1}`;
      report('nul_byte', nul, { found: 'a NUL byte', expected: 'text', message });
      return undefined;
    }
    try {
      return JSON.parse(text);
    } catch {
      reportInvalidJson(isTerminated);
      return undefined;
    }
  };
  const reportInvalidJson = (isTerminated: boolean): void => {
    const fault = walkJson(text);
    if (fault === null) {
      // The walk has the parser's grammar: this is for a row that the parser refuses for its size.
      report('invalid_json', null, {
        found: `${text.length} characters`,
        expected: ROW,
        message: 'the line is not valid JSON',
      });
    } else if (fault.endsEarly && !isTerminated) reportCut();
    else {
      const { offset, expected } = fault;
      const found = fault.endsEarly
        ? 'the end of the line'
        : JSON.stringify(String.fromCodePoint(text.codePointAt(offset) ?? 0));
      const message = `the line is not valid JSON: column ${offset + 1} must be ${expected} (found ${found})`;
      report('invalid_json', offset, { found, expected, message });
    }
  };

  return {
    check(line, bytes, isTerminated) {
      lineNumber = line;
      const row = read(bytes, isTerminated);
      if (row === undefined) return;
      if (!isFields(row)) {
        rowProblem('not_an_object', null, row, ROW);
        return;
      }
      if (mayHaveFlaws(text, row)) {
        for (const { check, offset, ...problem } of findFlaws(text)) report(check, offset, problem);
      }
      format ??= rowFormat(method, row);
      checkRow(row, format, tally, rowProblem);
      const isOverLimit = counter.isOverLimit(row, format, bytes.length);
      tokens.add(counter.countRow(row, format, bytes.length), isOverLimit);
      if (isOverLimit) {
        const expected = `at most ${counter.limit} tokens`;
        const message = `the row should have ${expected}: the model does not train on what is beyond`;
        report('over_token_limit', 0, { found: 'more tokens', expected, message });
      }
    },
    format: () => format,
  };
}

/** What should not be there at all is shown by its key. */
function keyAtFault(check: CheckName, path: Path): boolean {
  return (check === 'unknown_key' || check === 'misplaced_weight') && path !== null;
}
