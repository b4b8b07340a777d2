// Writes the pages of docs/ that are made from tables in the code. Run by `npm run docs`, after the build.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { preflightReportText } from '../dist/src/commands/preflight-report-text.js';
import { SECRET_VARIABLES, VARIABLES } from '../dist/src/config/variables.js';
import { CHECK_EXAMPLES } from '../dist/src/datasets/check-examples.js';
import { CHECKS } from '../dist/src/datasets/checks.js';
import { preflight } from '../dist/src/datasets/preflight.js';
import { ERROR_CODES } from '../dist/src/domain/errors.js';
import { preflightReportObject } from '../dist/src/http/schemas/preflight-report.js';
import { datasetsOutput, generatedPages } from './generated-docs.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const datasetsText = readFileSync(join(root, 'docs/datasets.md'), 'utf8');

for (const { path, content } of generatedPages({
  variables: VARIABLES,
  secrets: SECRET_VARIABLES,
  errorCodes: ERROR_CODES,
  datasets: {
    page: datasetsText,
    checks: CHECKS,
    checkExamples: CHECK_EXAMPLES,
    output: await datasetsOutput(datasetsText, { preflight, preflightReportText, preflightReportObject }),
  },
})) {
  writeFileSync(join(root, path), content);
  console.log(path);
}
