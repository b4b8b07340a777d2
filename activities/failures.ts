import { activityInfo, ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { ApplicationFailureCategory } from '@temporalio/common';
import { GatewayError } from '../src/domain/errors.js';
import { redactText } from '../src/observability/redaction.js';
import type { Delays } from './cadence.js';

/** Longer texts of a pending activity's failure are cut by the server. */
const MAX_MESSAGE_CHARACTERS = 2_000;

/**
 * The only place that builds failures for Temporal: type = our code, never a secret, and with each retryable one
 * the delay until the next attempt. Cancellation passes as it is.
 */
export function toApplicationFailure(error: unknown, delays: Delays, nextRetryDelayMs?: number): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  if (Context.current().cancellationSignal.aborted) return new CancelledFailure('The activity was cancelled.');
  const known = error instanceof GatewayError ? error : null;
  const delayMs = nextRetryDelayMs ?? defaultDelayMs(known, delays);
  return ApplicationFailure.create({
    type: known?.code ?? 'internal_error',
    message: redactText(error instanceof Error ? error.message : 'unknown error').slice(0, MAX_MESSAGE_CHARACTERS),
    nonRetryable: known !== null && !known.retryable,
    nextRetryDelay: delayMs,
    details: known === null ? [] : [detailsOf(known)],
  });
}

/** "Not yet": a retry that is no error, and counts as none in logs and metrics. */
export function notYet(type: string, message: string, nextRetryDelayMs: number): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message,
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
