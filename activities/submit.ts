import { Context } from '@temporalio/activity';
import type { SubmitInput, SubmittedJob } from '../src/domain/activities.js';
import { GatewayError } from '../src/domain/errors.js';
import { isTerminal } from '../src/domain/job-state.js';
import type { RemoteJob } from '../src/domain/provider-port.js';
import type { Delays } from './cadence.js';
import type { ActivityDependencies, OpenedJob } from './dependencies.js';
import { notYet, toApplicationFailure } from './failures.js';
import { adoptByMarker, cancelUnlessFinished } from './find-job.js';
import { noteTrouble, retryable } from './observe.js';

const QUOTA_DELAY_MS = 60_000;

/**
 * Makes the job at the provider, at most once.
 *
 * Temporal's attempt number says nothing (a reset run starts at 1 again), so the row holds when a create was last
 * begun. With an earlier one, "the provider does not show it" counts only after the vendor's list delay.
 */
export async function submitJob(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: SubmitInput,
): Promise<SubmittedJob> {
  const signal = Context.current().cancellationSignal;
  await dependencies.jobs.recordState(input.jobId, input.version, { phase: 'submitting' });
  const opened = await dependencies.openJob(input.jobId);
  const job = await findOrCreate(dependencies, delays, input, opened, signal);
  return settle(dependencies, input, opened, job, signal);
}

async function findOrCreate(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: SubmitInput,
  opened: OpenedJob,
  signal: AbortSignal,
): Promise<RemoteJob> {
  const { submissions } = dependencies;
  const before = await submissions.submitAttempt(input.jobId);
  if (before.providerJobId !== null) return opened.provider.getJob(before.providerJobId, signal);

  const found = await adoptByMarker(dependencies, opened, input.files, signal).catch((error: unknown) => {
    throw waitForCredentials(error, before.attemptedAt !== null);
  });
  if (found !== null) return found;
  const listDelayMs = delays.scaled(opened.definition.capabilities.listDelayMs);
  if (before.ageMs !== null && before.ageMs < listDelayMs) {
    throw notYet(
      'provider_list_delay',
      `An earlier create has no known outcome; ${opened.row.provider} may not list it yet. Looking again.`,
      Math.ceil(listDelayMs - before.ageMs) + 1,
    );
  }

  const claimedAt = await submissions.claimSubmit(input.jobId, before.attemptedAt);
  if (claimedAt === null) {
    throw notYet('submit_in_progress', 'Another attempt is creating the job. Looking again.', delays.backoff(1));
  }
  try {
    return await opened.provider.createJob(
      { jobId: input.jobId, request: opened.row.request, files: input.files },
      signal,
    );
  } catch (error) {
    if (wasRefused(error)) await submissions.releaseSubmit(input.jobId, claimedAt, before.attemptedAt);
    throw await describeRefusal(dependencies, delays, input, error);
  }
}

/** Binds the job, cancels doubles, and writes the provider's first word. */
async function settle(
  dependencies: ActivityDependencies,
  input: SubmitInput,
  opened: OpenedJob,
  job: RemoteJob,
  signal: AbortSignal,
): Promise<SubmittedJob> {
  const { jobs, submissions, events } = dependencies;
  const submittedAt = job.createdAt ?? new Date(dependencies.now()).toISOString();
  const providerJobId = (await submissions.bindProviderJob(input.jobId, job.id, submittedAt)) ?? job.id;
  if (providerJobId !== job.id) await cancelUnlessFinished(opened.provider, job.id, signal);
  await adoptByMarker(dependencies, opened, input.files, signal);

  const row = await jobs.get(input.jobId);
  // The run that this attempt belonged to was given up while it stalled: what it made must not train.
  if (isTerminal(row.status)) await cancelUnlessFinished(opened.provider, providerJobId, signal);

  await events.append(input.jobId, [
    {
      sourceId: 'gateway:submitted',
      level: 'info',
      type: 'message',
      message: `Submitted to ${row.provider} as ${providerJobId}`,
      data: { provider_job_id: providerJobId },
    },
  ]);
  await jobs.recordObservation(input.jobId, { rawStatus: job.rawStatus });
  const status = job.status === null || isTerminal(job.status) ? row.status : job.status;
  const recorded = await jobs.recordState(input.jobId, input.version, { status, phase: 'waiting' });
  return { ...recorded, providerJobId, submittedAt };
}

/** The provider answered, and the answer says that no job was made. Without an answer nothing is certain. */
function wasRefused(error: unknown): boolean {
  if (!(error instanceof GatewayError) || error.providerStatus === undefined) return false;
  const status = error.providerStatus;
  return status >= 400 && status < 500 && status !== 408 && status !== 409;
}

async function describeRefusal(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: SubmitInput,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof GatewayError) || error.code !== 'provider_quota_exceeded') return error;
  // Over quota is waiting, shown as queued, not failing.
  await noteTrouble(dependencies, input.jobId, error);
  await dependencies.jobs.recordState(input.jobId, input.version, { status: 'queued' });
  const delayMs =
    error.retryAfterMs === undefined ? delays.scaled(QUOTA_DELAY_MS) : delays.retryAfter(error.retryAfterMs);
  return toApplicationFailure(error, delays, delayMs);
}

/** Refused credentials end a job only where no earlier create may be running at the provider. */
function waitForCredentials(error: unknown, attemptedBefore: boolean): unknown {
  if (!(error instanceof GatewayError) || error.code !== 'provider_auth_error' || !attemptedBefore) return error;
  return retryable(error);
}
