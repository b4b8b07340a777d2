import type { TestProject } from 'vitest/node';
import { inject } from 'vitest';
import { startSystem } from './running-system.js';
import type { SystemAddresses } from './running-system.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** The one running start of the acceptance tests. */
    sharedSystem: SystemAddresses;
  }
}

/** Short intervals: jobs of a few seconds are seen in every state. */
const ENVIRONMENT = { POLL_INTERVAL_SCALE: '0.1', MAX_FILE_BYTES: String(4 * 1024 * 1024) };

/** One whole start for all acceptance tests. They bring emulators and virtual keys of their own, and end nothing of it. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const system = await startSystem({ environment: ENVIRONMENT });
  project.provide('sharedSystem', system.addresses());
  return () => system.dispose();
}

export function sharedSystem(): SystemAddresses {
  return inject('sharedSystem');
}
