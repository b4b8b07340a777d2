// Writes the pages of docs/ that are made from tables in the code. Run by `npm run docs`, after the build.
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SECRET_VARIABLES, VARIABLES } from '../dist/src/config/variables.js';
import { ERROR_CODES } from '../dist/src/domain/errors.js';
import { generatedPages } from './generated-docs.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

for (const { path, content } of generatedPages({
  variables: VARIABLES,
  secrets: SECRET_VARIABLES,
  errorCodes: ERROR_CODES,
})) {
  writeFileSync(join(root, path), content);
  console.log(path);
}
