import { z } from 'zod';

/** What one poll attempt tells the next one, by heartbeat details: it outlives workers and adds nothing to the history. */
const pollMemorySchema = z.object({
  polls: z.int().nonnegative().catch(0),
  /** Failures in a row. */
  failures: z.int().nonnegative().catch(0),
  /** Milliseconds since the epoch: since when the provider has not known the job. */
  missingSince: z.number().nullable().catch(null),
});

export type PollMemory = z.infer<typeof pollMemorySchema>;

/** Reads it leniently: details of another release, or none, are a fresh start. */
export function pollMemory(heartbeatDetails: unknown): PollMemory {
  const parsed = pollMemorySchema.safeParse(heartbeatDetails);
  return parsed.success ? parsed.data : { polls: 0, failures: 0, missingSince: null };
}
