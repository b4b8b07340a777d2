import { z } from 'zod';
import type { EmulatorClock } from './clock.js';
import type { StateStore } from './journal.js';

const loggedRequest = z.object({
  sequence: z.number(),
  time: z.string(),
  provider: z.string(),
  operation: z.string().nullable(),
  method: z.string(),
  path: z.string(),
  credential: z.string().nullable(),
  status: z.number().nullable(),
});

/** One call a vendor received: `sequence` counts from 1, `time` is ISO 8601 of the emulators' clock; `status` is null while, or if, nothing was answered. */
export type LoggedRequest = z.infer<typeof loggedRequest>;

export interface RequestLog {
  /** Notes a call at its arrival and returns what notes its answer. */
  received(entry: Omit<LoggedRequest, 'sequence' | 'time' | 'status'>): (status: number) => void;
  list(provider?: string): LoggedRequest[];
  clear(): void;
}

const KEPT = 10_000;

/** The calls of all vendors in order of arrival; the oldest leave beyond 10,000. Survives a restart. */
export function createRequestLog(store: StateStore, clock: EmulatorClock): RequestLog {
  const entries = store.collection('core.requests', loggedRequest);
  const known = entries.values();
  let sequence = known.at(-1)?.sequence ?? 0;
  let oldest = known[0]?.sequence ?? sequence + 1;
  return {
    received: (call) => {
      sequence += 1;
      const key = String(sequence);
      const entry = { ...call, sequence, time: new Date(clock.nowMs()).toISOString(), status: null };
      entries.put(key, entry);
      while (entries.size() > KEPT) {
        entries.delete(String(oldest));
        oldest += 1;
      }
      return (status) => {
        if (entries.get(key) !== undefined) entries.put(key, { ...entry, status });
      };
    },
    list: (provider) => entries.values().filter((entry) => provider === undefined || entry.provider === provider),
    clear: () => {
      entries.clear();
      oldest = sequence + 1;
    },
  };
}
