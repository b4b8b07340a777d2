const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/** How long after submit, and how often to ask then. */
const CADENCE: readonly (readonly [untilMs: number, intervalMs: number])[] = [
  [30 * SECOND_MS, 2 * SECOND_MS],
  [5 * MINUTE_MS, 5 * SECOND_MS],
  [30 * MINUTE_MS, 15 * SECOND_MS],
  [2 * HOUR_MS, MINUTE_MS],
  [Number.POSITIVE_INFINITY, 5 * MINUTE_MS],
];
const BACKOFF_START_MS = 2 * SECOND_MS;
const BACKOFF_END_MS = 5 * MINUTE_MS;
const RETRY_AFTER_MIN_MS = SECOND_MS;
const RETRY_AFTER_MAX_MS = HOUR_MS;
const JITTER = 0.15;

/** The delays of one worker: jittered by 15 %, multiplied by `POLL_INTERVAL_SCALE`, whole milliseconds, never 0. */
export interface Delays {
  /** Until the next poll of a job that was submitted this long ago. */
  poll(sinceSubmitMs: number): number;
  /** After this many failures in a row, counted from 1; 2 s doubling to 5 minutes. */
  backoff(failures: number): number;
  /** What the provider asked for, between 1 s and 1 h; not scaled, for it is the provider's. */
  retryAfter(askedMs: number): number;
  /** A fixed delay, scaled and not jittered. */
  scaled(delayMs: number): number;
}

export function createDelays(scale: number, random: () => number): Delays {
  const jittered = (delayMs: number): number => whole(delayMs * scale * (1 - JITTER + 2 * JITTER * random()));
  return {
    poll(sinceSubmitMs) {
      const step = CADENCE.find(([untilMs]) => sinceSubmitMs / scale < untilMs);
      return jittered(step === undefined ? BACKOFF_END_MS : step[1]);
    },
    backoff: (failures) => jittered(Math.min(BACKOFF_END_MS, BACKOFF_START_MS * 2 ** Math.min(failures - 1, 10))),
    retryAfter: (askedMs) => whole(Math.min(RETRY_AFTER_MAX_MS, Math.max(RETRY_AFTER_MIN_MS, askedMs))),
    scaled: (delayMs) => whole(delayMs * scale),
  };
}

// A delay of 0 would mean "the policy's" to Temporal.
const whole = (delayMs: number): number => Math.max(1, Math.round(delayMs));
