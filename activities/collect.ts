import { Context } from '@temporalio/activity';
import { z } from 'zod';
import type { CollectInput, CollectedResults } from '../src/domain/activities.js';
import { GatewayError } from '../src/domain/errors.js';
import type { RemoteJob, ResultFile } from '../src/domain/provider-port.js';
import { fileIdForResult } from '../src/store/new-id.js';
import type { Delays } from './cadence.js';
import type { ActivityDependencies, OpenedJob } from './dependencies.js';
import { notYet } from './failures.js';
import { whileHeartbeating } from './heartbeat.js';
import { mirrorCheckpoints, mirrorEvents } from './mirror.js';
import { clearTrouble, noteTrouble, retryable } from './observe.js';

/** A provider's last events come some seconds after the status: eight after a success in a recording of OpenAI's. */
const SETTLE_MS = { succeeded: 10_000, otherwise: 2_000 } as const;
/** How long results may be missing after the status says succeeded. */
const RESULTS_WITHIN_MS = 10 * 60_000;
const RESULTS_POLL_MS = 5_000;

/** Milliseconds since the epoch: the first attempt, and the first that the provider answered. */
const memorySchema = z.object({ since: z.number(), answeredSince: z.number().nullable() });

/**
 * After the terminal status: waits until the provider has said everything, takes the last events and checkpoints, and
 * keeps the result files as files of ours. Results that never come leave the provider's word as it is, with
 * `provider_result_missing` in `gateway.last_error`.
 */
export function collectResults(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: CollectInput,
): Promise<CollectedResults> {
  return whileHeartbeating((signal, heartbeat) => collect(dependencies, delays, input, signal, heartbeat));
}

async function collect(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: CollectInput,
  signal: AbortSignal,
  heartbeat: (details: z.infer<typeof memorySchema>) => void,
): Promise<CollectedResults> {
  const context = Context.current();
  const memory = memorySchema.safeParse(context.info.heartbeatDetails);
  const { since, answeredSince } = memory.success ? memory.data : { since: dependencies.now(), answeredSince: null };
  heartbeat({ since, answeredSince });

  await dependencies.jobs.recordState(input.jobId, input.version, { phase: 'collecting' });
  const opened = await dependencies.openJob(input.jobId).catch((error: unknown) => {
    throw retryable(error);
  });
  // Only time in which the provider answered counts against its results.
  const answered = answeredSince ?? dependencies.now();
  const isPatient = dependencies.now() - answered < delays.scaled(RESULTS_WITHIN_MS);
  let job: RemoteJob;
  try {
    job = await opened.provider.getJob(input.providerJobId, signal);
  } catch (error) {
    // The job's outcome is known: no refusal of a read may change it, so every error is one to retry.
    if (!isGone(error)) {
      if (error instanceof GatewayError && error.provider !== undefined) {
        await noteTrouble(dependencies, input.jobId, error);
      }
      throw retryable(error);
    }
    heartbeat({ since, answeredSince: answered });
    if (!isPatient) return nothing(dependencies);
    throw notYet('provider_not_found', 'The finished job cannot be read.', delays.scaled(RESULTS_POLL_MS));
  }
  heartbeat({ since, answeredSince: answered });
  await clearTrouble(dependencies, input.jobId);
  await mirrorAll(dependencies, opened, input, isPatient, signal);
  const settleMs = delays.scaled(input.status === 'succeeded' ? SETTLE_MS.succeeded : SETTLE_MS.otherwise);
  const settlingMs = settleMs - (dependencies.now() - since);
  if (settlingMs > 0) {
    throw notYet('results_settling', "Waiting for the provider's last events", Math.max(1, settlingMs));
  }
  if (input.status === 'succeeded' && !isComplete(job)) {
    if (isPatient) {
      throw notYet(
        'provider_result_missing',
        'Waiting for the tuned model and the result file',
        delays.scaled(RESULTS_POLL_MS),
      );
    }
    await tellMissing(dependencies, input);
  }
  const { resultFiles, missing } = await keepResults(dependencies, opened, job, isPatient, signal);
  if (missing > 0) await tellMissing(dependencies, input);
  return {
    fineTunedModel: job.fineTunedModel,
    trainedTokens: job.trainedTokens,
    resultFiles,
    finishedAt: job.finishedAt ?? new Date(dependencies.now()).toISOString(),
    error: job.error,
  };
}

/** The last events and checkpoints. A list that stays unreadable while the job can be read does not keep a job open. */
async function mirrorAll(
  dependencies: ActivityDependencies,
  opened: OpenedJob,
  input: CollectInput,
  isPatient: boolean,
  signal: AbortSignal,
): Promise<void> {
  try {
    const progress = await mirrorEvents(dependencies, opened, input.providerJobId, signal);
    if (progress !== null) await dependencies.jobs.recordObservation(input.jobId, { progress });
    await mirrorCheckpoints(dependencies, opened, input.providerJobId, signal);
  } catch (error) {
    if (!(error instanceof GatewayError) || error.provider === undefined) throw error;
    await noteTrouble(dependencies, input.jobId, error);
    if (isPatient) throw retryable(error);
    const message = `Events or checkpoints of the finished job could not be read, and are left out: ${error.message}`;
    await dependencies.events.append(input.jobId, [
      { sourceId: 'gateway:lists_unreadable', level: 'warn', type: 'message', message, data: { code: error.code } },
    ]);
  }
}

const isComplete = (job: RemoteJob): boolean => job.fineTunedModel !== null && job.resultFiles.length > 0;

const isGone = (error: unknown): boolean => error instanceof GatewayError && error.code === 'provider_not_found';

async function keepResults(
  dependencies: ActivityDependencies,
  { row, provider }: OpenedJob,
  job: RemoteJob,
  patient: boolean,
  signal: AbortSignal,
): Promise<{ readonly resultFiles: readonly string[]; readonly missing: number }> {
  const { files, fileStore, maxResultFileBytes } = dependencies;
  const ids: string[] = [];
  let missing = 0;
  for (const reference of job.resultFiles) {
    const id = fileIdForResult(row.id, reference);
    // Bytes too: a sweep can have taken those of an earlier attempt while this row was being made; see below.
    if ((await files.get(row.workspaceId, id)) !== null && (await fileStore.sizeBytes(id)) !== null) {
      ids.push(id);
      continue;
    }
    const result = await openResult(provider, reference, patient, signal);
    if (result === null) {
      missing += 1;
      continue;
    }
    const stored = await fileStore
      .put(id, result.content, { maxBytes: maxResultFileBytes, signal })
      .catch((error: unknown) => {
        if (isTooLarge(error)) return null;
        throw retryable(error);
      });
    if (stored === null) {
      await tellTooLarge(dependencies, row.id, reference);
      continue;
    }
    await files.insert({
      id,
      workspaceId: row.workspaceId,
      filename: result.fileName,
      purpose: 'fine-tune-results',
      ...stored,
    });
    // The id is that of every attempt. Where an earlier one left bytes long ago and no row, a sweep may have removed what
    // was stored now; once the row is there no sweep does.
    if ((await fileStore.sizeBytes(id)) === null) {
      throw new GatewayError('storage_unavailable', `The result file ${reference} has to be stored again.`);
    }
    ids.push(id);
  }
  return { resultFiles: ids, missing };
}

const isTooLarge = (error: unknown): boolean => error instanceof GatewayError && error.code === 'payload_too_large';

/** Null where the provider names a file that it does not have, and patience is at its end. */
async function openResult(
  provider: OpenedJob['provider'],
  reference: string,
  patient: boolean,
  signal: AbortSignal,
): Promise<ResultFile | null> {
  try {
    return await provider.openResult(reference, signal);
  } catch (error) {
    const missing = error instanceof GatewayError && error.code === 'provider_result_missing';
    if (missing && !patient) return null;
    throw retryable(error);
  }
}

async function tellTooLarge(
  { events, maxResultFileBytes }: ActivityDependencies,
  jobId: string,
  reference: string,
): Promise<void> {
  await events.append(jobId, [
    {
      sourceId: `gateway:result_too_large_${reference}`,
      level: 'warn',
      type: 'message',
      message: `The result file ${reference} is over the limit of ${maxResultFileBytes} bytes and was not kept`,
      data: { provider_file_id: reference },
    },
  ]);
}

async function tellMissing({ jobs, events, now }: ActivityDependencies, input: CollectInput): Promise<void> {
  const message =
    'The provider says succeeded, but the tuned model or the result file did not appear within ten minutes.';
  await jobs.recordObservation(input.jobId, {
    lastError: { code: 'provider_result_missing', message, at: new Date(now()).toISOString() },
  });
  await events.append(input.jobId, [
    { sourceId: 'gateway:result_missing', level: 'warn', type: 'message', message, data: {} },
  ]);
}

function nothing({ now }: ActivityDependencies): CollectedResults {
  return {
    fineTunedModel: null,
    trainedTokens: null,
    resultFiles: [],
    finishedAt: new Date(now()).toISOString(),
    error: null,
  };
}
