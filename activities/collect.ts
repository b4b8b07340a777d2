import { Context } from '@temporalio/activity';
import { z } from 'zod';
import type { CollectInput, CollectedResults } from '../src/domain/activities.js';
import { GatewayError } from '../src/domain/errors.js';
import type { RemoteJob, ResultFile } from '../src/domain/provider-port.js';
import { fileIdForResult } from '../src/store/new-id.js';
import type { Delays } from './cadence.js';
import type { ActivityDependencies, OpenedJob } from './dependencies.js';
import { notYet } from './failures.js';
import { mirrorCheckpoints, mirrorEvents } from './mirror.js';

/** A provider's last events come some seconds after the status: eight in a recording of OpenAI's. */
const SETTLE_MS = 10_000;
/** How long results may be missing after the status says succeeded. */
const RESULTS_WITHIN_MS = 10 * 60_000;
const RESULTS_POLL_MS = 5_000;

const memorySchema = z.object({ since: z.number() });

/**
 * After the terminal status: waits until the provider has said everything, takes the last events and checkpoints, and
 * keeps the result files as files of ours. Results that never come leave the provider's word as it is, with
 * `provider_result_missing` in `gateway.last_error`.
 */
export async function collectResults(
  dependencies: ActivityDependencies,
  delays: Delays,
  input: CollectInput,
): Promise<CollectedResults> {
  const context = Context.current();
  const signal = context.cancellationSignal;
  const memory = memorySchema.safeParse(context.info.heartbeatDetails);
  const since = memory.success ? memory.data.since : dependencies.now();
  const waitedMs = dependencies.now() - since;
  context.heartbeat({ since });

  await dependencies.jobs.recordState(input.jobId, input.version, { phase: 'collecting' });
  const opened = await dependencies.openJob(input.jobId);
  const patience = delays.scaled(RESULTS_WITHIN_MS);
  let job: RemoteJob;
  try {
    job = await opened.provider.getJob(input.providerJobId, signal);
    const progress = await mirrorEvents(dependencies, opened, input.providerJobId, signal);
    if (progress !== null) await dependencies.jobs.recordObservation(input.jobId, { progress });
    await mirrorCheckpoints(dependencies, opened, input.providerJobId, signal);
  } catch (error) {
    if (!isGone(error)) throw keepTrying(error);
    if (waitedMs < patience)
      throw notYet('provider_not_found', 'The finished job cannot be read.', delays.scaled(RESULTS_POLL_MS));
    return nothing(dependencies);
  }
  const settleMs = delays.scaled(SETTLE_MS);
  if (waitedMs < settleMs) {
    throw notYet('results_settling', "Waiting for the provider's last events", Math.max(1, settleMs - waitedMs));
  }
  if (input.status === 'succeeded' && !isComplete(job)) {
    if (waitedMs < patience) {
      throw notYet(
        'provider_result_missing',
        'Waiting for the tuned model and the result file',
        delays.scaled(RESULTS_POLL_MS),
      );
    }
    await tellMissing(dependencies, input);
  }
  const resultFiles = await keepResults(dependencies, opened, job, waitedMs < patience, signal);
  if (resultFiles.length < job.resultFiles.length) await tellMissing(dependencies, input);
  return {
    fineTunedModel: job.fineTunedModel,
    trainedTokens: job.trainedTokens,
    resultFiles,
    finishedAt: job.finishedAt ?? new Date(dependencies.now()).toISOString(),
    error: job.error,
  };
}

const isComplete = (job: RemoteJob): boolean => job.fineTunedModel !== null && job.resultFiles.length > 0;

const isGone = (error: unknown): boolean => error instanceof GatewayError && error.code === 'provider_not_found';

/** The job's outcome is known: no refusal of a read may change it, so every error is one to retry. */
function keepTrying(error: unknown): unknown {
  if (!(error instanceof GatewayError) || error.retryable) return error;
  return new GatewayError(error.code, error.message, { retryable: true, cause: error });
}

async function keepResults(
  { files, fileStore, maxResultFileBytes }: ActivityDependencies,
  { row, provider }: OpenedJob,
  job: RemoteJob,
  patient: boolean,
  signal: AbortSignal,
): Promise<string[]> {
  const ids: string[] = [];
  for (const reference of job.resultFiles) {
    const id = fileIdForResult(row.id, reference);
    if ((await files.get(row.workspaceId, id)) !== null) {
      ids.push(id);
      continue;
    }
    const result = await openResult(provider, reference, patient, signal);
    if (result === null) continue;
    const stored = await fileStore.put(id, result.content, { maxBytes: maxResultFileBytes, signal });
    await files.insert({
      id,
      workspaceId: row.workspaceId,
      filename: result.fileName,
      purpose: 'fine-tune-results',
      ...stored,
    });
    ids.push(id);
  }
  return ids;
}

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
    throw keepTrying(error);
  }
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
