import { z } from 'zod';
import type { StateStore } from './journal.js';

/** The emulators' time: the machine's, moved forward by control calls. */
export interface EmulatorClock {
  nowMs(): number;
  /** Whole Unix seconds, as the vendors' wire formats have them. */
  nowSeconds(): number;
  advance(seconds: number): void;
  /** How long a job created now will take, in seconds of this clock. */
  jobSeconds(): number;
  setJobSeconds(seconds: number): void;
  reset(): void;
}

export const DEFAULT_JOB_SECONDS = 10;

const clockState = z.object({ offsetMs: z.number(), jobSeconds: z.number() });

/** Creates the clock; its offset and the job length survive a restart. `machineNowMs` is for tests. */
export function createClock(store: StateStore, machineNowMs: () => number = Date.now): EmulatorClock {
  const states = store.collection('core.clock', clockState);
  const initial = { offsetMs: 0, jobSeconds: DEFAULT_JOB_SECONDS };
  const read = () => states.get('clock') ?? initial;
  const nowMs = () => Math.floor(machineNowMs() + read().offsetMs);
  return {
    nowMs,
    nowSeconds: () => Math.floor(nowMs() / 1000),
    advance: (seconds) => states.put('clock', { ...read(), offsetMs: read().offsetMs + seconds * 1000 }),
    jobSeconds: () => read().jobSeconds,
    setJobSeconds: (jobSeconds) => states.put('clock', { ...read(), jobSeconds }),
    reset: () => states.clear(),
  };
}
