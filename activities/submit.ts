import { Context } from '@temporalio/activity';
import type { SubmitInput, SubmittedJob } from '../src/domain/activities.js';
import { GatewayError } from '../src/domain/errors.js';
import { isTerminal } from '../src/domain/job-state.js';
import type { RemoteJob } from '../src/domain/provider-port.js';
import type { SubmitAttempt } from '../src/store/job-submissions.js';
import type { Delays } from './cadence.js';
import type { ActivityDependencies, OpenedJob } from './dependencies.js';
import { notYet, toApplicationFailure } from './failures.js';
import { adoptByMarker, cancelAllBut, cancelUnlessFinished, unlistedForMs } from './find-job.js';
import { noteTrouble, retryable } from './observe.js';

const QUOTA_DELAY_MS = 60_000;

/** What is known of a job when it is bound: the provider's answer, or the row alone. */
type Submitted = Pick<RemoteJob, 'id' | 'status' | 'createdAt'> & { readonly rawStatus: string | null };

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
  const before = await dependencies.submissions.submitAttempt(input.jobId);
  const opened = await dependencies.openJob(input.jobId).catch((error: unknown) => {
    throw before.attemptedAt === null ? error : retryable(error);
  });
  const job = await findOrCreate(dependencies, delays, input, before, opened, signal);
  // The provider has the job from here on: no refusal may end it.
  return settle(dependencies, input, opened, job, signal).catch((error: unknown) => {
    throw retryable(error);
  });
}

async function findOrCreate(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: SubmitInput,
  before: SubmitAttempt,
  opened: OpenedJob,
  signal: AbortSignal,
): Promise<Submitted> {
  const { submissions } = dependencies;
  // No question to the provider: whatever it answers, the wait knows what that means for a job that is there.
  if (before.providerJobId !== null) return fromRow(before.providerJobId, opened);

  const found = await adoptByMarker(dependencies, opened, input.files, signal).catch((error: unknown) => {
    // A refusal ends a job only where no earlier create may be running at the provider.
    throw before.attemptedAt === null ? error : retryable(error);
  });
  if (found !== null) return found;
  if (isTerminal(opened.row.status)) {
    throw new GatewayError('invalid_job_state', `The job is ${opened.row.status} already; nothing is submitted.`);
  }
  const unlistedMs = unlistedForMs(delays, opened.definition);
  if (before.ageMs !== null && before.ageMs < unlistedMs) {
    throw notYet(
      'provider_list_delay',
      `An earlier create has no known outcome; ${opened.row.provider} may not list it yet. Looking again.`,
      Math.ceil(unlistedMs - before.ageMs) + 1,
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
    if (!wasRefused(error)) throw retryable(error);
    await submissions.releaseSubmit(input.jobId, claimedAt, before.attemptedAt);
    throw await describeRefusal(dependencies, delays, input, error);
  }
}

function fromRow(providerJobId: string, { row }: OpenedJob): Submitted {
  const createdAt = row.submittedAt?.toISOString() ?? null;
  return { id: providerJobId, status: null, rawStatus: row.rawStatus, createdAt };
}

/** Binds the job, cancels doubles, and writes the provider's first word. */
async function settle(
  dependencies: ActivityDependencies,
  input: SubmitInput,
  opened: OpenedJob,
  job: Submitted,
  signal: AbortSignal,
): Promise<SubmittedJob> {
  const { jobs, submissions, events } = dependencies;
  const submittedAt = job.createdAt ?? new Date(dependencies.now()).toISOString();
  const providerJobId = (await submissions.bindProviderJob(input.jobId, job.id, submittedAt)) ?? job.id;
  await cancelAllBut(dependencies, opened, providerJobId, { files: input.files, alsoMade: job.id }, signal);

  const row = await jobs.get(input.jobId);
  // The run that this attempt belonged to was given up while it stalled: what it made must not train.
  if (isTerminal(row.status)) await cancelUnlessFinished(opened.provider, providerJobId, signal);

  await events.append(input.jobId, [
    {
      sourceId: 'gateway:submitted',
      // The provider's time: its own first event is of that second and comes after this one.
      createdAt: submittedAt,
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

/**
 * The provider answered, and the answer says that no job was made; or the adapter refused before it sent anything.
 * Otherwise nothing is certain: not without an answer, not after a proxy's page, and a conflict can be with our own job.
 */
function wasRefused(error: unknown): error is GatewayError {
  if (!(error instanceof GatewayError) || error.code === 'provider_invalid_response') return false;
  const status = error.providerStatus;
  if (status === undefined) return !error.retryable;
  return status >= 400 && status < 500 && status !== 408 && status !== 409 && status !== 425;
}

async function describeRefusal(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: SubmitInput,
  error: GatewayError,
): Promise<Error> {
  if (error.code !== 'provider_quota_exceeded') return error;
  // Over quota is waiting, shown as queued, not failing.
  await noteTrouble(dependencies, input.jobId, error);
  await dependencies.jobs.recordState(input.jobId, input.version, { status: 'queued' });
  const delayMs =
    error.retryAfterMs === undefined ? delays.scaled(QUOTA_DELAY_MS) : delays.retryAfter(error.retryAfterMs);
  return toApplicationFailure(error, delays, delayMs);
}
