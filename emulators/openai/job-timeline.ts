import type { ForcedState } from '../core/emulator.js';
import {
  NEVER_MS,
  isTerminal,
  queueMs,
  statusOf,
  trainedMs,
  trainingMs,
  validationMs,
  type JobNote,
  type JobRecord,
} from './job-record.js';

type Level = JobNote['level'];

function note(job: JobRecord, atMs: number, message: string, level: Level = 'info', data: JobNote['data'] = {}): void {
  job.notes.push({ atMs, level, message, data });
}

function closeSegment(job: JobRecord, atMs: number): void {
  const last = job.segments.at(-1);
  if (last?.endMs === null) last.endMs = atMs;
}

function enterQueue(job: JobRecord, atMs: number): void {
  closeSegment(job, atMs);
  job.stage = 'queued';
  job.word = null;
  job.dueMs = atMs + queueMs(job);
}

function startTraining(job: JobRecord, atMs: number): void {
  closeSegment(job, atMs);
  job.stage = 'running';
  job.word = null;
  job.dueMs = atMs + Math.max(0, trainingMs(job) - trainedMs(job, atMs));
  // The recorded event has `data: null`, unlike its neighbours.
  note(job, atMs, job.segments.length === 0 ? 'Fine-tuning job started' : 'Fine-tuning job resumed', 'info', null);
  job.segments.push({ startMs: atMs, endMs: null });
}

function end(job: JobRecord, atMs: number, word: string, error: JobRecord['error'] = null): void {
  closeSegment(job, atMs);
  job.stage = 'ended';
  job.word = word;
  job.endedMs = atMs;
  job.dueMs = NEVER_MS;
  job.error = error;
  if (error !== null) note(job, atMs, error.message, 'error', {});
}

function hold(job: JobRecord, atMs: number, word: string): void {
  closeSegment(job, atMs);
  job.stage = 'held';
  job.word = word;
  job.dueMs = NEVER_MS;
}

/** Applies the transition that was due at `atMs`. */
function pass(job: JobRecord, atMs: number): void {
  if (job.stage === 'validating_files') {
    if (job.failure !== null) {
      end(job, atMs, 'failed', job.failure);
      return;
    }
    note(job, atMs, 'Files validated, moving job to queued state');
    enterQueue(job, atMs);
  } else if (job.stage === 'queued') {
    startTraining(job, atMs);
  } else {
    end(job, atMs, 'succeeded');
  }
}

/**
 * Brings the open jobs of one organisation up to `nowMs`, in the order in which things happened: a job whose turn is
 * held up by the quota starts when the one before it ends. Returns the jobs that changed.
 */
export function settleJobs(
  jobs: readonly JobRecord[],
  runningQuota: number | null,
  nowMs: number,
  settledMs: number,
): JobRecord[] {
  const changed = new Set<JobRecord>();
  let timeMs = settledMs;
  for (;;) {
    const running = jobs.filter((job) => job.stage === 'running').length;
    const full = runningQuota !== null && running >= runningQuota;
    let next: JobRecord | undefined;
    let nextMs = Infinity;
    for (const job of jobs) {
      if (job.stage === 'held' || job.stage === 'ended') continue;
      if (job.stage === 'queued' && full) continue;
      const atMs = job.stage === 'queued' && runningQuota !== null ? Math.max(job.dueMs, timeMs) : job.dueMs;
      const earlier = atMs < nextMs || (atMs === nextMs && (next === undefined || job.dueMs < next.dueMs));
      if (earlier) {
        next = job;
        nextMs = atMs;
      }
    }
    if (next === undefined || nextMs > nowMs) return [...changed];
    pass(next, nextMs);
    changed.add(next);
    timeMs = Math.max(timeMs, nextMs);
  }
}

/** The stage of a job that was just created. */
export function beginJob(job: JobRecord): void {
  const files = [
    `Validating training file: ${job.body.training_file}`,
    ...(job.body.validation_file ? [`validation file: ${job.body.validation_file}`] : []),
  ];
  note(job, job.createdMs, `Created fine-tuning job: ${job.id}`);
  note(job, job.createdMs, files.join(' and '));
  job.stage = 'validating_files';
  job.dueMs = job.createdMs + validationMs(job);
}

export type JobAction = 'cancel' | 'pause' | 'resume';

/** Does what the caller asked; false when the job's state does not allow it. */
export function actOnJob(job: JobRecord, action: JobAction, nowMs: number): boolean {
  const status = statusOf(job);
  switch (action) {
    case 'cancel':
      if (job.stage === 'ended') return false;
      end(job, nowMs, 'cancelled');
      note(job, nowMs, 'The job has been cancelled', 'info');
      return true;
    case 'pause':
      if (status !== 'running') return false;
      hold(job, nowMs, 'paused');
      note(job, nowMs, 'The job has been paused', 'info');
      return true;
    case 'resume':
      if (status !== 'paused') return false;
      note(job, nowMs, 'The job has been resumed and moved to queued state', 'info');
      enterQueue(job, nowMs);
      return true;
  }
}

/**
 * Forces a vendor state. A known one puts the job at that point of its life, from which it goes on;
 * in an unknown one it stays until another is forced.
 */
export function forceJobState(job: JobRecord, forced: ForcedState, nowMs: number): void {
  const { state, error } = forced;
  job.endedMs = null;
  job.error = null;
  if (state === 'validating_files') {
    closeSegment(job, nowMs);
    job.stage = 'validating_files';
    job.word = null;
    job.dueMs = nowMs + validationMs(job);
  } else if (state === 'queued') enterQueue(job, nowMs);
  else if (state === 'running') startTraining(job, nowMs);
  else if (isTerminal(state)) {
    const failed = error ?? (state === 'failed' ? {} : undefined);
    end(
      job,
      nowMs,
      state,
      failed === undefined
        ? null
        : {
            code: failed.code ?? 'server_error',
            message: failed.message ?? 'The job failed due to an internal error.',
            param: failed.param ?? null,
          },
    );
    if (state === 'cancelled') note(job, nowMs, 'The job has been cancelled', 'info');
  } else {
    hold(job, nowMs, state);
    if (error !== undefined) {
      job.error = { code: error.code ?? 'unknown', message: error.message ?? '', param: error.param ?? null };
    }
  }
}
