export { CHECKS, type Check, type CheckName, type Severity } from './checks.js';
export { CHECK_EXAMPLES, exampleContent, type CheckExample } from './check-examples.js';
export { preflight } from './preflight.js';
export type {
  Excerpt,
  PreflightOptions,
  PreflightProblem,
  PreflightReport,
  RowFormat,
  TokenCounts,
} from './preflight-report.js';
export { formatPreflightError, MAX_REPORTED_ERRORS } from './report.js';
