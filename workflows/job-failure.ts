import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';
import type { JobError } from '../src/domain/job.js';

/** Details of the failures that our activities throw; built in `activities/failures.ts`. */
interface FailureDetails {
  readonly param?: string | null;
  readonly rawCode?: string;
}

/**
 * The error that a failed stage leaves on the job. Anything that is no failure of an activity is a fault in the
 * workflow's code: it is thrown on, so that the workflow task is retried and a fixed worker goes on.
 */
export function jobErrorOf(error: unknown): JobError {
  if (!(error instanceof ActivityFailure)) throw error;
  const cause = error.cause;
  if (!(cause instanceof ApplicationFailure)) {
    return { code: 'internal_error', message: cause?.message ?? error.message, param: null };
  }
  // @NOTE Details come as JSON from our own activities; every field is optional and read as such.
  const details = (cause.details?.[0] ?? {}) as FailureDetails;
  const ours = cause.type ?? 'internal_error';
  const code = ours === 'provider_bad_request' ? (details.rawCode ?? ours) : ours;
  return { code, message: cause.message, param: details.param ?? null };
}
