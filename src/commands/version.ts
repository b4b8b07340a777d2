import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { findPackageRoot } from '../processes/package-root.js';

/** This release's version, from `package.json`. */
export function productVersion(): string {
  const content: unknown = JSON.parse(readFileSync(join(findPackageRoot(), 'package.json'), 'utf8'));
  return z.object({ version: z.string() }).parse(content).version;
}
