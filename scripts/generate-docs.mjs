// Writes the pages of docs/ that are made from tables in the code. Run by `npm run docs`, after the build.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SECRET_VARIABLES, VARIABLES } from '../dist/src/config/variables.js';
import { CHECK_EXAMPLES } from '../dist/src/datasets/check-examples.js';
import { CHECKS } from '../dist/src/datasets/checks.js';
import { ERROR_CODES } from '../dist/src/domain/errors.js';
import { generatedPages } from './generated-docs.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

for (const { path, content } of generatedPages({
  variables: VARIABLES,
  secrets: SECRET_VARIABLES,
  errorCodes: ERROR_CODES,
  checks: CHECKS,
  checkExamples: CHECK_EXAMPLES,
  datasets: readFileSync(join(root, 'docs/datasets.md'), 'utf8'),
})) {
  writeFileSync(join(root, path), content);
  console.log(path);
}
