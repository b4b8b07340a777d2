import { ApplicationFailure, Context } from '@temporalio/activity';
import type { AwaitChangeInput, ProviderChange } from '../src/domain/activities.js';
import { GatewayError } from '../src/domain/errors.js';
import type { JobProgress } from '../src/domain/job.js';
import { advanceStatus, isTerminal } from '../src/domain/job-state.js';
import type { RemoteJob } from '../src/domain/provider-port.js';
import type { Delays } from './cadence.js';
import type { ActivityDependencies, OpenedJob } from './dependencies.js';
import { notYet, toApplicationFailure } from './failures.js';
import { mirrorCheckpoints, mirrorEvents } from './mirror.js';
import { lastErrorOf, noteTrouble, retryable } from './observe.js';
import { pollMemory, type PollMemory } from './poll-memory.js';

/** How long a job may be unknown to the provider before it counts as gone. */
const MISSING_FOR_MS = 10 * 60_000;
const CHECKPOINTS_EVERY_POLLS = 5;
/** A list that is slow or very long must not keep the status from being seen; what it lacks comes with the results. */
const MIRROR_WITHIN_MS = 35_000;

/**
 * One poll per attempt: the job, and with it its events (each fifth time its checkpoints). Without a change it fails
 * as `provider_unchanged`, which is benign and adds nothing to the history; Temporal's retry is the timer.
 */
export async function awaitProviderChange(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: AwaitChangeInput,
): Promise<ProviderChange> {
  const context = Context.current();
  const memory = pollMemory(context.info.heartbeatDetails);
  try {
    return await poll(dependencies, delays, input, memory);
  } catch (error) {
    if (error instanceof ApplicationFailure) throw error;
    // Trouble of our own, such as the database. The attempt's number counts benign polls too: back off by our own count.
    const failures = memory.failures + 1;
    context.heartbeat({ ...memory, failures } satisfies PollMemory);
    throw toApplicationFailure(error, delays, delays.backoff(failures));
  }
}

async function poll(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: AwaitChangeInput,
  memory: PollMemory,
): Promise<ProviderChange> {
  const context = Context.current();
  let opened: OpenedJob;
  let job: RemoteJob;
  try {
    opened = await dependencies.openJob(input.jobId);
    job = await opened.provider.getJob(input.providerJobId, context.cancellationSignal);
  } catch (error) {
    throw await noteFailure(dependencies, delays, input, memory, error);
  }
  // The two requests together may take longer than the time-out between two heartbeats.
  context.heartbeat(memory);
  const mirrored = await mirror(dependencies, opened, input, memory, context.cancellationSignal);

  const status = job.status === null ? opened.row.status : advanceStatus(opened.row.status, job.status);
  if (job.status === null && job.rawStatus !== opened.row.rawStatus) {
    context.log.warn('the provider reports a state we do not know', {
      provider: opened.row.provider,
      rawStatus: job.rawStatus,
    });
  }
  const progress = job.progress ?? mirrored.progress;
  const delayMs = delays.poll(dependencies.now() - Date.parse(input.submittedAt));
  await dependencies.jobs.recordObservation(input.jobId, {
    rawStatus: job.rawStatus,
    providerUnreachableSince: null,
    lastError: mirrored.error === null ? null : lastErrorOf(mirrored.error, dependencies.now()),
    nextPollAt: isTerminal(status) ? null : at(dependencies, delayMs),
    ...(progress === null ? {} : { progress }),
    ...(job.hyperparameters === null ? {} : { hyperparameters: job.hyperparameters }),
    ...(job.estimatedFinish === null ? {} : { estimatedFinish: job.estimatedFinish }),
  });

  // A terminal status waits for its results: the row is terminal only when complete.
  if (isTerminal(status)) return { status, error: job.error };
  if (!input.seen.includes(status)) {
    const recorded = await dependencies.jobs.recordState(input.jobId, input.version, { status });
    return { status: recorded.status, error: null };
  }
  context.heartbeat({ polls: memory.polls + 1, failures: 0, missingSince: null } satisfies PollMemory);
  throw notYet('provider_unchanged', progressText(opened, job, progress), delayMs);
}

/** The second request. Its failure loses nothing: the next poll goes on from the last event that was written. */
async function mirror(
  dependencies: ActivityDependencies,
  opened: OpenedJob,
  input: AwaitChangeInput,
  memory: PollMemory,
  signal: AbortSignal,
): Promise<{ readonly progress: JobProgress | null; readonly error: GatewayError | null }> {
  const checkpoints = memory.polls % CHECKPOINTS_EVERY_POLLS === CHECKPOINTS_EVERY_POLLS - 1;
  const late = AbortSignal.timeout(MIRROR_WITHIN_MS);
  const limited = AbortSignal.any([signal, late]);
  try {
    if (!checkpoints) {
      return { progress: await mirrorEvents(dependencies, opened, input.providerJobId, limited), error: null };
    }
    await mirrorCheckpoints(dependencies, opened, input.providerJobId, limited);
    return { progress: null, error: null };
  } catch (error) {
    if (late.aborted && !signal.aborted) {
      const message = `${opened.row.provider} did not list all within ${MIRROR_WITHIN_MS / 1000} seconds.`;
      return { progress: null, error: new GatewayError('provider_unavailable', message) };
    }
    if (error instanceof GatewayError && error.code !== 'database_unavailable') return { progress: null, error };
    throw error;
  }
}

/**
 * "Cannot observe" is never "failed": whatever the provider answers, the wait goes on, except for a job that it has
 * not known for ten minutes.
 */
async function noteFailure(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: AwaitChangeInput,
  memory: PollMemory,
  error: unknown,
): Promise<Error> {
  if (!(error instanceof GatewayError) || error.code === 'database_unavailable') throw error;
  const missing = error.code === 'provider_not_found';
  const missingSince = missing ? (memory.missingSince ?? dependencies.now()) : null;
  if (missingSince !== null && dependencies.now() - missingSince >= delays.scaled(MISSING_FOR_MS)) {
    const message = `${input.providerJobId} is unknown to the provider since ${new Date(missingSince).toISOString()}.`;
    return toApplicationFailure(new GatewayError('provider_job_missing', message), delays);
  }
  const failures = memory.failures + 1;
  Context.current().heartbeat({ polls: memory.polls, failures, missingSince } satisfies PollMemory);
  const delayMs = error.retryAfterMs === undefined ? delays.backoff(failures) : delays.retryAfter(error.retryAfterMs);
  await noteTrouble(dependencies, input.jobId, error, at(dependencies, delayMs));
  return toApplicationFailure(retryable(error), delays, delayMs);
}

const at = ({ now }: ActivityDependencies, delayMs: number): string => new Date(now() + delayMs).toISOString();

function progressText({ row }: OpenedJob, job: RemoteJob, progress: JobProgress | null): string {
  const { step, totalSteps } = progress ?? row.progress ?? {};
  const steps = step === undefined ? '' : `, step ${step}/${totalSteps ?? '?'}`;
  return `${row.provider} ${job.id}: ${job.rawStatus}${steps}`;
}
