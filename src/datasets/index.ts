export { preflight, type PreflightOptions } from './preflight.js';
export {
  formatPreflightError,
  MAX_REPORTED_ERRORS,
  type PreflightError,
  type PreflightReport,
  type RowFormat,
} from './report.js';
