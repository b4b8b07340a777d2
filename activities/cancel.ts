import { Context } from '@temporalio/activity';
import type { CancelInput, CancelOutcome } from '../src/domain/activities.js';
import type { Delays } from './cadence.js';
import type { ActivityDependencies, OpenedJob } from './dependencies.js';
import { notYet } from './failures.js';
import { adoptByMarker, cancelUnlessFinished } from './find-job.js';
import { retryable } from './observe.js';

/** Cancels at the provider. Where submit left no id, "nothing there" counts only after the vendor's list delay. */
export async function cancelAtProvider(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: CancelInput,
): Promise<CancelOutcome> {
  const signal = Context.current().cancellationSignal;
  const opened = await dependencies.openJob(input.jobId);
  try {
    const providerJobId = input.providerJobId ?? (await findJob(dependencies, delays, input, opened, signal));
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
  input: CancelInput,
  opened: OpenedJob,
  signal: AbortSignal,
): Promise<string | null> {
  const attempt = await dependencies.submissions.submitAttempt(input.jobId);
  if (attempt.providerJobId !== null) return attempt.providerJobId;
  if (attempt.attemptedAt === null) return null;
  const found = await adoptByMarker(dependencies, opened, opened.row.remoteFiles, signal);
  if (found !== null) return found.id;
  const listDelayMs = delays.scaled(opened.definition.capabilities.listDelayMs);
  if (attempt.ageMs !== null && attempt.ageMs < listDelayMs) {
    const message = `A create may have reached ${opened.row.provider}, which may not list it yet. Looking again.`;
    throw notYet('provider_list_delay', message, Math.ceil(listDelayMs - attempt.ageMs) + 1);
  }
  return null;
}
