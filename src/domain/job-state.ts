// Imports nothing: workflows take values from here.

/** OpenAI's job statuses, with `paused`, which pause answers though the published enumeration lacks it. */
export const JOB_STATUSES = [
  'validating_files',
  'queued',
  'running',
  'paused',
  'succeeded',
  'failed',
  'cancelled',
] as const;
export type JobStatus = (typeof JOB_STATUSES)[number];

/** Where the workflow stands; finer than the status, which is always one of OpenAI's. */
export type JobPhase =
  | 'accepted'
  | 'validating'
  | 'uploading'
  | 'submitting'
  | 'needs_resolution'
  | 'waiting'
  | 'cancelling'
  | 'collecting'
  | 'finished'
  | 'unobserved';

const TERMINAL: readonly JobStatus[] = ['succeeded', 'failed', 'cancelled'];

/** True for a status that never changes again. */
export function isTerminal(status: JobStatus): boolean {
  return TERMINAL.includes(status);
}

const NEXT: Readonly<Record<JobStatus, readonly JobStatus[]>> = {
  validating_files: ['queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled'],
  queued: ['running', 'paused', 'succeeded', 'failed', 'cancelled'],
  running: ['paused', 'succeeded', 'failed', 'cancelled'],
  paused: ['queued', 'running', 'succeeded', 'failed', 'cancelled'],
  succeeded: [],
  failed: [],
  cancelled: [],
};

/**
 * The status to show when `next` is observed after `current`: OpenAI's order holds whatever a provider
 * reports, so a step backwards (a job that is queued again, a late answer) keeps the current status.
 */
export function advanceStatus(current: JobStatus, next: JobStatus): JobStatus {
  return NEXT[current].includes(next) ? next : current;
}
