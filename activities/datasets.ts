import type { CleanInput, DatasetInput, Recorded, UploadedDataset } from '../src/domain/activities.js';
import { GatewayError } from '../src/domain/errors.js';
import type { DatasetRole } from '../src/domain/job.js';
import type { JsonValue } from '../src/domain/json.js';
import type { FineTuningProvider } from '../src/domain/provider-port.js';
import { safeText } from '../src/domain/safe-text.js';
import { formatPreflightError, preflight } from '../src/datasets/index.js';
import type { JobRow } from '../src/store/jobs.js';
import { Context } from '@temporalio/activity';
import type { ActivityDependencies } from './dependencies.js';
import { whileHeartbeating } from './heartbeat.js';

const ROLES: readonly DatasetRole[] = ['training', 'validation'];
const MAX_MESSAGE_CHARACTERS = 1_500;

/** Reads a dataset once and fails with `invalid_training_file` where a row is wrong. */
export async function preflightDataset(dependencies: ActivityDependencies, input: DatasetInput): Promise<Recorded> {
  const { jobs, events, fileStore } = dependencies;
  const row = await jobs.get(input.jobId);
  const recorded = await jobs.recordState(input.jobId, input.version, { phase: 'validating' });
  // A run that was reset: the rows were checked before the provider was asked to create.
  if (row.submitAttemptedAt !== null) return recorded;
  const { definition } = await dependencies.openJob(input.jobId);
  const report = await whileHeartbeating(async (signal) =>
    preflight(
      await fileStore.open(input.fileId),
      {
        method: row.request.method.type,
        role: input.role,
        ...(input.role === 'training' ? { minimumRows: definition.capabilities.minimumRows } : {}),
      },
      signal,
    ),
  );
  if (report.errorCount > 0) {
    const message = safeText(formatPreflightError(report), MAX_MESSAGE_CHARACTERS);
    await events.append(input.jobId, [
      {
        sourceId: `gateway:invalid_${input.role}_file`,
        level: 'error',
        type: 'message',
        message,
        data: { error_count: report.errorCount, errors: report.errors.map((error) => ({ ...error })) },
      },
    ]);
    throw new GatewayError('invalid_training_file', message, { param: paramOf(input.role) });
  }
  await events.append(input.jobId, [
    {
      sourceId: `gateway:checked_${input.role}`,
      level: 'info',
      type: 'message',
      message: `Checked the ${input.role} file ${input.fileId}: ${report.rowCount} rows`,
      data: { rows: report.rowCount },
    },
  ]);
  return recorded;
}

/** Streams a dataset to the provider, or finds what an earlier attempt put there. */
export async function uploadDataset(dependencies: ActivityDependencies, input: DatasetInput): Promise<UploadedDataset> {
  const { jobs, events, fileStore } = dependencies;
  const recorded = await jobs.recordState(input.jobId, input.version, { phase: 'uploading' });
  const opened = await dependencies.openJob(input.jobId);
  const already = opened.row.remoteFiles[input.role];
  if (already !== undefined) return { ...recorded, remoteFileId: already };
  const sizeBytes = await contentSize(dependencies, opened.row, input);
  await jobs.markUploadAttempted(input.jobId);
  const remote = await whileHeartbeating(async (signal, heartbeat) => {
    const content = await fileStore.open(input.fileId);
    try {
      return await opened.provider.uploadDataset(
        {
          jobId: input.jobId,
          role: input.role,
          content,
          sizeBytes,
          since: opened.row.createdAt.toISOString(),
          resumeFrom: lastDetails(),
          heartbeat,
        },
        signal,
      );
    } finally {
      content.destroy();
    }
  });
  await jobs.recordRemoteFile(input.jobId, input.role, remote.id);
  await events.append(input.jobId, [
    {
      sourceId: `gateway:uploaded_${input.role}`,
      level: 'info',
      type: 'message',
      message: `Uploaded the ${input.role} file ${input.fileId} to ${opened.row.provider}`,
      data: { provider_file_id: remote.id, bytes: sizeBytes },
    },
  ]);
  return { ...recorded, remoteFileId: remote.id };
}

/**
 * Deletes what was uploaded for the job, also what an attempt left whose answer was lost. What the provider refuses for
 * good is told in an event, and stays.
 */
export async function deleteRemote(dependencies: ActivityDependencies, input: CleanInput): Promise<void> {
  if (!input.remove) return;
  const { uploadAttemptedAt, remoteFiles } = await dependencies.jobs.get(input.jobId);
  const known = Object.values(remoteFiles);
  if (uploadAttemptedAt === null && known.length === 0) return;
  const { row, provider } = await dependencies.openJob(input.jobId);
  await whileHeartbeating(async (signal) => {
    const found = uploadAttemptedAt === null ? [] : await findUploads(provider, row, signal);
    for (const fileId of new Set([...known, ...found])) {
      try {
        await provider.deleteFile(fileId, signal);
      } catch (error) {
        if (!(error instanceof GatewayError) || error.retryable) throw error;
        if (error.code !== 'provider_not_found') await tellNotDeleted(dependencies, row, fileId, error);
      }
    }
    for (const role of ROLES) await dependencies.jobs.forgetRemoteFile(row.id, role);
  });
}

/** None where the provider refuses to list them: what the row names is deleted all the same. */
async function findUploads(provider: FineTuningProvider, row: JobRow, signal: AbortSignal): Promise<readonly string[]> {
  try {
    return (await provider.findDatasets(row.id, row.createdAt.toISOString(), signal)).map(({ id }) => id);
  } catch (error) {
    if (!(error instanceof GatewayError) || error.retryable) throw error;
    return [];
  }
}

async function tellNotDeleted(
  { events }: ActivityDependencies,
  row: JobRow,
  fileId: string,
  error: GatewayError,
): Promise<void> {
  await events.append(row.id, [
    {
      sourceId: `gateway:not_deleted_${fileId}`,
      level: 'warn',
      type: 'message',
      message: `The file ${fileId} at ${row.provider} could not be deleted: ${error.message}`,
      data: { provider_file_id: fileId, code: error.code },
    },
  ]);
}

async function contentSize({ fileStore }: ActivityDependencies, row: JobRow, input: DatasetInput): Promise<number> {
  const sizeBytes = await fileStore.sizeBytes(input.fileId);
  if (sizeBytes !== null) return sizeBytes;
  throw new GatewayError('file_content_missing', `The content of ${input.fileId} (job ${row.id}) is missing.`);
}

/** @NOTE Our own heartbeats: what `heartbeat` was given, as JSON. */
function lastDetails(): JsonValue | undefined {
  return Context.current().info.heartbeatDetails as JsonValue | undefined;
}

const paramOf = (role: DatasetRole): string => (role === 'training' ? 'training_file' : 'validation_file');
