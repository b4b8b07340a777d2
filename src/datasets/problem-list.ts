import { CHECKS, type CheckName } from './checks.js';
import type { PreflightProblem } from './preflight-report.js';
import { MAX_REPORTED_ERRORS } from './report.js';

/** What is told of a problem beside its check. */
export type ProblemDetails = Omit<PreflightProblem, 'check'>;

/** Problems of one severity. */
export interface ProblemCount {
  readonly count: number;
  readonly problems: readonly PreflightProblem[];
}

export interface ProblemList {
  /** Counts a problem; asks for its details only where it is one of those that are kept. */
  add(check: CheckName, details: () => ProblemDetails): void;
  /** The same problem on many lines in a row. */
  addLines(check: CheckName, firstLine: number, endLine: number, details: (line: number) => ProblemDetails): void;
  /** A problem of the file as a whole: these stand before the others. */
  addOfFile(check: CheckName, found: string, expected: string, message: string): void;
  errors(): ProblemCount;
  warnings(): ProblemCount;
}

export function createProblemList(): ProblemList {
  const found = {
    error: { count: 0, ofFile: new Array<PreflightProblem>(), ofLines: new Array<PreflightProblem>() },
    warning: { count: 0, ofFile: new Array<PreflightProblem>(), ofLines: new Array<PreflightProblem>() },
  };
  const counted = ({ count, ofFile, ofLines }: (typeof found)['error']): ProblemCount => ({
    count,
    problems: [...ofFile, ...ofLines].slice(0, MAX_REPORTED_ERRORS),
  });
  return {
    add(check, details) {
      const list = found[CHECKS[check].severity];
      list.count += 1;
      if (list.ofLines.length < MAX_REPORTED_ERRORS) list.ofLines.push({ check, ...details() });
    },
    addLines(check, firstLine, endLine, details) {
      const list = found[CHECKS[check].severity];
      list.count += endLine - firstLine;
      for (let line = firstLine; line < endLine && list.ofLines.length < MAX_REPORTED_ERRORS; line += 1) {
        list.ofLines.push({ check, ...details(line) });
      }
    },
    addOfFile(check, what, expected, message) {
      const list = found[CHECKS[check].severity];
      list.count += 1;
      list.ofFile.push({ check, line: null, column: null, path: '', found: what, expected, message });
    },
    errors: () => counted(found.error),
    warnings: () => counted(found.warning),
  };
}
