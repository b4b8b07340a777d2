import { activityInfo, ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { ApplicationFailureCategory } from '@temporalio/common';
import { GatewayError } from '../src/domain/errors.js';
import { safeText } from '../src/domain/safe-text.js';
import { redactText } from '../src/observability/redaction.js';
import type { Delays } from './cadence.js';

/** Longer texts of a pending activity's failure are cut by the server. */
const MAX_MESSAGE_CHARACTERS = 2_000;
const SHUTDOWN_DELAY_MS = 500;

/**
 * The only place that builds failures for Temporal: type = our code, never a secret, and with each retryable one
 * the delay until the next attempt. Cancellation passes as it is.
 */
export function toApplicationFailure(error: unknown, delays: Delays, nextRetryDelayMs?: number): Error {
  if (error instanceof ApplicationFailure) return error;
  if (Context.current().cancellationSignal.aborted) return cancellation();
  const known = error instanceof GatewayError ? error : null;
  const delayMs = nextRetryDelayMs ?? defaultDelayMs(known, delays);
  return ApplicationFailure.create({
    type: known?.code ?? 'internal_error',
    message: safeText(redactText(error instanceof Error ? error.message : 'unknown error'), MAX_MESSAGE_CHARACTERS),
    nonRetryable: known !== null && !known.retryable,
    nextRetryDelay: delayMs,
    details: known === null ? [] : [detailsOf(known)],
  });
}

/**
 * A worker that stops aborts what it runs, though nobody cancelled the job: the attempt failed, and another worker takes
 * it at once instead of when its time-out has passed.
 */
function cancellation(): Error {
  const details = Context.current().cancellationDetails;
  if (details?.workerShutdown !== true || details.cancelRequested) {
    return new CancelledFailure('The activity was cancelled.');
  }
  return notYet('worker_stopping', 'The worker is stopping; another one goes on.', SHUTDOWN_DELAY_MS);
}

/** "Not yet": a retry that is no error, and counts as none in logs and metrics. */
export function notYet(type: string, message: string, nextRetryDelayMs: number): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message: safeText(message, MAX_MESSAGE_CHARACTERS),
    nextRetryDelay: nextRetryDelayMs,
    category: ApplicationFailureCategory.BENIGN,
  });
}

/** Wraps an activity so that whatever it throws reaches Temporal as one of our failures. */
export function withFailures<Parameters extends readonly unknown[], Output>(
  delays: Delays,
  activity: (...parameters: Parameters) => Promise<Output>,
): (...parameters: Parameters) => Promise<Output> {
  return async (...parameters) => {
    try {
      return await activity(...parameters);
    } catch (error) {
      throw toApplicationFailure(error, delays);
    }
  };
}

function defaultDelayMs(error: GatewayError | null, delays: Delays): number {
  if (error?.retryAfterMs !== undefined) return delays.retryAfter(error.retryAfterMs);
  return delays.backoff(activityInfo().attempt);
}

function detailsOf(error: GatewayError) {
  return {
    param: error.param,
    ...(error.rawCode === undefined ? {} : { rawCode: error.rawCode }),
    ...(error.providerStatus === undefined ? {} : { providerStatus: error.providerStatus }),
    ...(error.providerRequestId === undefined ? {} : { providerRequestId: error.providerRequestId }),
  };
}
