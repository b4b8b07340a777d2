import { z } from 'zod';
import { createJobBody } from './create-request.js';

const failure = z.object({ code: z.string(), message: z.string(), param: z.string().nullable() });

/** A stretch of training; open while `endMs` is null. */
const segment = z.object({ startMs: z.number(), endMs: z.number().nullable() });

const note = z.object({
  atMs: z.number(),
  level: z.enum(['info', 'warn', 'error']),
  message: z.string(),
  data: z.record(z.string(), z.unknown()).nullable(),
});

/**
 * What is stored of a job. Together with the clock it determines every answer, so a restart goes on where it stopped.
 * Times are milliseconds of the emulators' clock.
 */
export const jobRecord = z.object({
  id: z.string(),
  sequence: z.number(),
  organizationId: z.string(),
  credential: z.string(),
  createdMs: z.number(),
  /** How long the whole job takes when nothing holds it up. */
  lengthMs: z.number(),
  body: createJobBody,
  createdWith: z.unknown(),
  model: z.string(),
  seed: z.number(),
  rows: z.number(),
  tokens: z.number(),
  /** What ends the job when its validation is over. */
  failure: failure.nullable(),
  stage: z.enum(['validating_files', 'queued', 'running', 'held', 'ended']),
  /** Vendor status while `held` or `ended`: `paused`, `succeeded`, …, or a forced one that nobody knows. */
  word: z.string().nullable(),
  /** When the stage is over; for `queued` the earliest start. */
  dueMs: z.number(),
  segments: z.array(segment),
  endedMs: z.number().nullable(),
  error: failure.nullable(),
  notes: z.array(note),
  modelDeleted: z.boolean(),
  resultStored: z.boolean(),
});

export type JobRecord = z.infer<typeof jobRecord>;
export type JobNote = z.infer<typeof note>;

/** `dueMs` of a stage that nothing ends by itself; infinity has no JSON. */
export const NEVER_MS = Number.MAX_SAFE_INTEGER;

const TERMINAL = ['succeeded', 'failed', 'cancelled'];

export const isTerminal = (word: string): boolean => TERMINAL.includes(word);

/** The job's `status` on the wire. */
export function statusOf(job: JobRecord): string {
  return job.word ?? job.stage;
}

export const validationMs = (job: JobRecord): number => job.lengthMs * 0.1;
export const queueMs = (job: JobRecord): number => job.lengthMs * 0.1;
export const trainingMs = (job: JobRecord): number => job.lengthMs * 0.8;

/** How much of the training is done at `atMs`, in milliseconds of training time. */
export function trainedMs(job: JobRecord, atMs: number): number {
  return job.segments.reduce(
    (sum, { startMs, endMs }) => sum + Math.max(0, Math.min(endMs ?? atMs, atMs) - startMs),
    0,
  );
}

/** When the training reached `trainingTimeMs`; null while it has not. */
export function reachedAtMs(job: JobRecord, trainingTimeMs: number): number | null {
  let before = 0;
  for (const { startMs, endMs } of job.segments) {
    const length = (endMs ?? Infinity) - startMs;
    if (trainingTimeMs <= before + length) return startMs + trainingTimeMs - before;
    before += length;
  }
  // A job forced to succeed has all its steps at the end.
  return job.word === 'succeeded' ? job.endedMs : null;
}
