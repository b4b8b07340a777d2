import { z } from 'zod';
import { cursorParameters } from '../query.js';

/** OpenAI publishes no upper limit for these lists. */
const MAX_JOBS = 100;
const MAX_EVENTS = 1_000;
const MAX_CHECKPOINTS = 100;

/** `metadata[k]=v` pairs that a job must all have, or `metadata=null` for jobs without any. */
export const jobListQuery = z.strictObject({
  ...cursorParameters({ defaultLimit: 20, maxLimit: MAX_JOBS }),
  metadata: z
    .union([
      z.literal('null').transform(() => null),
      z.literal('').transform(() => undefined),
      z.record(z.string(), z.string()),
    ])
    .optional(),
});

export const jobEventsQuery = z.strictObject(cursorParameters({ defaultLimit: 20, maxLimit: MAX_EVENTS }));
export const jobCheckpointsQuery = z.strictObject(cursorParameters({ defaultLimit: 10, maxLimit: MAX_CHECKPOINTS }));
