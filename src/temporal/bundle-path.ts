import { join } from 'node:path';
import { findPackageRoot } from '../processes/package-root.js';

/** The workflow bundle, made at build time by `npm run build`. */
export function workflowBundlePath(): string {
  return join(findPackageRoot(), 'dist', 'workflow-bundle.js');
}
