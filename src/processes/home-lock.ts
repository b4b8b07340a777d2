import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { acquireProcessLock } from './process-lock.js';

/** Held for as long as this process uses the home. */
export interface HomeLock {
  release(): void;
}

/**
 * Reserves a home for this process, which two starts at once must not share: they would use the same data. Makes
 * the directory if there is none. The lock of a process that is gone, however it ended, does not count.
 */
export const acquireHomeLock = async (home: string): Promise<HomeLock> => {
  mkdirSync(home, { recursive: true });
  const lock = await acquireProcessLock(join(home, 'up.lock'));
  if (lock.kind === 'acquired') return lock;
  throw new Error(
    `${home} is in use by process ${lock.holderPid}: stop that one first, or choose another TUNESMITH_HOME for this start`,
  );
};
