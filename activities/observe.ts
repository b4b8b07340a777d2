import { GatewayError } from '../src/domain/errors.js';
import type { LastError } from '../src/domain/job.js';
import type { ActivityDependencies } from './dependencies.js';

type ObserveDependencies = Pick<ActivityDependencies, 'jobs' | 'now'>;

/** Shows a job's owner what a stage has met at the provider; a database that is away has no place to show it. */
export async function noteTrouble(
  { jobs, now }: ObserveDependencies,
  jobId: string,
  error: GatewayError,
  nextPollAt?: string,
): Promise<void> {
  const seen = { lastError: lastErrorOf(error, now()), ...(nextPollAt === undefined ? {} : { nextPollAt }) };
  if (isUnreachable(error)) await jobs.recordUnreachable(jobId, seen);
  else await jobs.recordObservation(jobId, { ...seen, ...(answered(error) ? { providerUnreachableSince: null } : {}) });
}

/** A refusal is an answer. */
const answered = (error: GatewayError): boolean => error.providerStatus !== undefined;

/** Wraps a stage: trouble with the provider shows in `gateway.last_error` at once, and is gone when the stage is through. */
export function observed<Input extends { readonly jobId: string }, Output>(
  dependencies: ObserveDependencies,
  stage: (input: Input) => Promise<Output>,
): (input: Input) => Promise<Output> {
  return async (input) => {
    try {
      const output = await stage(input);
      await clearTrouble(dependencies, input.jobId);
      return output;
    } catch (error) {
      if (error instanceof GatewayError && error.provider !== undefined) {
        await noteTrouble(dependencies, input.jobId, error);
      }
      throw error;
    }
  };
}

/** The provider answers again. */
export function clearTrouble({ jobs }: Pick<ObserveDependencies, 'jobs'>, jobId: string): Promise<void> {
  return jobs.recordObservation(jobId, { providerUnreachableSince: null, lastError: null });
}

export function lastErrorOf(error: GatewayError, atMs: number): LastError {
  return {
    code: error.code,
    message: error.message,
    at: new Date(atMs).toISOString(),
    ...(error.providerRequestId === undefined ? {} : { providerRequestId: error.providerRequestId }),
  };
}

/** The same refusal, to be tried again: for where giving up would leave a job alone that may be training. */
export function retryable(error: unknown): unknown {
  if (!(error instanceof GatewayError) || error.retryable) return error;
  return new GatewayError(error.code, error.message, {
    retryable: true,
    cause: error,
    ...(error.param === null ? {} : { param: error.param }),
    ...(error.provider === undefined ? {} : { provider: error.provider }),
    ...(error.rawCode === undefined ? {} : { rawCode: error.rawCode }),
    ...(error.providerStatus === undefined ? {} : { providerStatus: error.providerStatus }),
    ...(error.providerRequestId === undefined ? {} : { providerRequestId: error.providerRequestId }),
  });
}

function isUnreachable(error: GatewayError): boolean {
  return error.code === 'provider_unavailable' || error.code === 'provider_invalid_response';
}
