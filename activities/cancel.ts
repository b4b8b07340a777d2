import { Context } from '@temporalio/activity';
import type { CancelInput, CancelOutcome } from '../src/domain/activities.js';
import type { SubmitAttempt } from '../src/store/job-submissions.js';
import type { Delays } from './cadence.js';
import type { ActivityDependencies, OpenedJob } from './dependencies.js';
import { notYet } from './failures.js';
import { adoptByMarker, cancelUnlessFinished, unlistedForMs } from './find-job.js';
import { retryable } from './observe.js';

/** Cancels at the provider. Where submit left no id, "nothing there" counts only after the vendor's list delay. */
export async function cancelAtProvider(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: CancelInput,
): Promise<CancelOutcome> {
  const signal = Context.current().cancellationSignal;
  const attempt = await dependencies.submissions.submitAttempt(input.jobId);
  const known = input.providerJobId ?? attempt.providerJobId;
  // Before credentials are opened: a job that was never sent can be cancelled without any.
  if (known === null && attempt.attemptedAt === null) return { outcome: 'nothing_there', providerJobId: null };
  try {
    const opened = await dependencies.openJob(input.jobId);
    const providerJobId = known ?? (await findJob(dependencies, delays, attempt, opened, signal));
    if (providerJobId === null) return { outcome: 'nothing_there', providerJobId };
    const requested = await cancelUnlessFinished(opened.provider, providerJobId, signal);
    return { outcome: requested ? 'requested' : 'finished', providerJobId };
  } catch (error) {
    // A job that may be training is never given up: refused credentials can be mended, and then the cancel goes through.
    throw retryable(error);
  }
}

async function findJob(
  dependencies: ActivityDependencies,
  delays: Delays,
  attempt: SubmitAttempt,
  opened: OpenedJob,
  signal: AbortSignal,
): Promise<string | null> {
  const found = await adoptByMarker(dependencies, opened, opened.row.remoteFiles, signal);
  if (found !== null) return found.id;
  const unlistedMs = unlistedForMs(delays, opened.definition);
  if (attempt.ageMs !== null && attempt.ageMs < unlistedMs) {
    const message = `A create may have reached ${opened.row.provider}, which may not list it yet. Looking again.`;
    throw notYet('provider_list_delay', message, Math.ceil(unlistedMs - attempt.ageMs) + 1);
  }
  return null;
}
