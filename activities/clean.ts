import type { CleanInput } from '../src/domain/activities.js';
import { GatewayError } from '../src/domain/errors.js';
import type { DatasetRole } from '../src/domain/job.js';
import type { FineTuningProvider } from '../src/domain/provider-port.js';
import type { UploadClaim } from '../src/store/job-uploads.js';
import type { JobRow } from '../src/store/jobs.js';
import type { ActivityDependencies, OpenedJob } from './dependencies.js';
import { whileHeartbeating } from './heartbeat.js';

const ROLES: readonly DatasetRole[] = ['training', 'validation'];

/**
 * Gives up uploads that are half-done, and with `remove` deletes what was uploaded for the job, also what an attempt left
 * whose answer was lost. What the provider refuses for good is told in an event, and stays.
 */
export async function deleteRemote(dependencies: ActivityDependencies, input: CleanInput): Promise<void> {
  const { uploadAttemptedAt, remoteFiles } = await dependencies.jobs.get(input.jobId);
  // Claimed also where nothing is saved yet: an attempt that is late cannot save anything from here on, and gives it up.
  const claims = await dependencies.jobUploads.claimHalfDone(input.jobId);
  const halfDone = claims.filter(({ saved }) => saved !== null);
  const remove = input.remove && (uploadAttemptedAt !== null || Object.keys(remoteFiles).length > 0);
  if (halfDone.length === 0 && !remove) return;
  const opened = await dependencies.openJob(input.jobId);
  await whileHeartbeating(async (signal) => {
    for (const claim of halfDone) await discard(dependencies, opened, claim, signal);
    if (remove) await deleteFiles(dependencies, opened, signal);
  });
}

async function discard(
  dependencies: ActivityDependencies,
  { row, provider }: OpenedJob,
  claim: UploadClaim,
  signal: AbortSignal,
): Promise<void> {
  try {
    await provider.discardUpload(claim.saved, signal);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    await tellKept(dependencies, row, error, {
      sourceId: `gateway:not_discarded_${claim.role}`,
      what: `The half-done upload of the ${claim.role} file at ${row.provider} could not be cancelled`,
      data: {},
    });
  }
  await dependencies.jobUploads.save(row.id, claim, null);
}

async function deleteFiles(
  dependencies: ActivityDependencies,
  { row, provider }: OpenedJob,
  signal: AbortSignal,
): Promise<void> {
  const found = row.uploadAttemptedAt === null ? [] : await findUploads(provider, row, signal);
  for (const fileId of new Set([...Object.values(row.remoteFiles), ...found])) {
    try {
      await provider.deleteFile(fileId, signal);
    } catch (error) {
      if (!isRefusal(error)) throw error;
      if (error.code === 'provider_not_found') continue;
      await tellKept(dependencies, row, error, {
        sourceId: `gateway:not_deleted_${fileId}`,
        what: `The file ${fileId} at ${row.provider} could not be deleted`,
        data: { provider_file_id: fileId },
      });
    }
  }
  for (const role of ROLES) await dependencies.jobUploads.forgetRemoteFile(row.id, role);
}

/** None where the provider refuses to list them: what the row names is deleted all the same. */
async function findUploads(provider: FineTuningProvider, row: JobRow, signal: AbortSignal): Promise<readonly string[]> {
  try {
    return (await provider.findDatasets(row.id, row.createdAt.toISOString(), signal)).map(({ id }) => id);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return [];
  }
}

const isRefusal = (error: unknown): error is GatewayError => error instanceof GatewayError && !error.retryable;

async function tellKept(
  { events }: ActivityDependencies,
  row: JobRow,
  error: GatewayError,
  { sourceId, what, data }: { readonly sourceId: `gateway:${string}`; readonly what: string; readonly data: object },
): Promise<void> {
  await events.append(row.id, [
    {
      sourceId,
      level: 'warn',
      type: 'message',
      message: `${what}: ${error.message}`,
      data: { ...data, code: error.code },
    },
  ]);
}
