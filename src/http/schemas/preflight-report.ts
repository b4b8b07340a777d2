import type { PreflightProblem, PreflightReport } from '../../datasets/preflight-report.js';

/** `PreflightReport` in JSON, as the route answers it and `tunesmith preflight --json` prints it. */
export interface PreflightReportObject {
  /** True where there is no error; warnings do not count. */
  readonly valid: boolean;
  readonly method: string;
  readonly role: string;
  readonly format: string | null;
  readonly bytes: number;
  readonly row_count: number;
  readonly error_count: number;
  readonly errors: readonly PreflightProblemObject[];
  readonly warning_count: number;
  readonly warnings: readonly PreflightProblemObject[];
  readonly roles: Readonly<Record<string, number>>;
  readonly image_row_count: number;
  readonly image_count: number;
  readonly duplicate_row_count: number;
  readonly duplicates_are_at_least: boolean;
  readonly tokens: TokenCountsObject | null;
}

export interface PreflightProblemObject {
  readonly check: string;
  readonly line: number | null;
  readonly column: number | null;
  readonly path: string;
  readonly found: string;
  readonly expected: string;
  readonly message: string;
  readonly excerpt?: { readonly text: string; readonly caret: number };
}

export interface TokenCountsObject {
  readonly method: string;
  readonly encoding: string | null;
  readonly minimum: number;
  readonly median: number;
  readonly maximum: number;
  readonly total: number;
  readonly limit: number | null;
  readonly over_limit_row_count: number;
  readonly n_epochs: number | null;
  readonly trained_total: number | null;
}

/** A report as JSON has it. */
export function preflightReportObject(report: PreflightReport): PreflightReportObject {
  const { tokens } = report;
  return {
    valid: report.errorCount === 0,
    method: report.method,
    role: report.role,
    format: report.format,
    bytes: report.sizeBytes,
    row_count: report.rowCount,
    error_count: report.errorCount,
    errors: report.errors.map(problemObject),
    warning_count: report.warningCount,
    warnings: report.warnings.map(problemObject),
    roles: report.roles,
    image_row_count: report.imageRowCount,
    image_count: report.imageCount,
    duplicate_row_count: report.duplicateRowCount,
    duplicates_are_at_least: report.duplicatesAreAtLeast,
    tokens:
      tokens === null
        ? null
        : {
            method: tokens.method,
            encoding: tokens.encoding,
            minimum: tokens.minimum,
            median: tokens.median,
            maximum: tokens.maximum,
            total: tokens.total,
            limit: tokens.limit,
            over_limit_row_count: tokens.overLimitRowCount,
            n_epochs: tokens.epochs,
            trained_total: tokens.trainedTotal,
          },
  };
}

function problemObject(problem: PreflightProblem): PreflightProblemObject {
  const { check, line, column, path, found, expected, message, excerpt } = problem;
  return { check, line, column, path, found, expected, message, ...(excerpt === undefined ? {} : { excerpt }) };
}
