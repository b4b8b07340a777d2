import { Context } from '@temporalio/activity';
import type { DatasetInput, UploadedDataset } from '../src/domain/activities.js';
import { GatewayError } from '../src/domain/errors.js';
import type { JsonValue } from '../src/domain/json.js';
import type { RemoteFile } from '../src/domain/provider-port.js';
import type { FileRow } from '../src/store/files.js';
import type { UploadClaim } from '../src/store/job-uploads.js';
import { fileOf } from './datasets.js';
import type { ActivityDependencies, OpenedJob } from './dependencies.js';
import { whileHeartbeating } from './heartbeat.js';

/** Of the heartbeat's time-out of a minute, during which nothing beats. */
const DISCARD_TIMEOUT_MS = 20_000;

/**
 * Streams a dataset to the provider, or finds what an earlier attempt put there. What a large file has reached is in the
 * row after each part, and the next attempt goes on from there.
 */
export async function uploadDataset(dependencies: ActivityDependencies, input: DatasetInput): Promise<UploadedDataset> {
  const { jobs, jobUploads, events } = dependencies;
  const recorded = await jobs.recordState(input.jobId, input.version, { phase: 'uploading' });
  const opened = await dependencies.openJob(input.jobId);
  const already = opened.row.remoteFiles[input.role];
  if (already !== undefined) return { ...recorded, remoteFileId: already };
  const file = await fileOf(dependencies, opened.row, input);
  const claim = await jobUploads.claim(input.jobId, input.role);
  if (claim === null) return { ...recorded, remoteFileId: await uploadedMeanwhile(dependencies, input) };
  const remote = await upload(dependencies, opened, file, claim);
  if (!(await jobUploads.recordRemoteFile(input.jobId, claim, remote.id))) throw overtaken(claim);
  await events.append(input.jobId, [
    {
      sourceId: `gateway:uploaded_${input.role}`,
      level: 'info',
      type: 'message',
      message: `Uploaded the ${input.role} file ${input.fileId} to ${opened.row.provider}`,
      data: { provider_file_id: remote.id, bytes: file.sizeBytes },
    },
  ]);
  return { ...recorded, remoteFileId: remote.id };
}

async function upload(
  dependencies: ActivityDependencies,
  opened: OpenedJob,
  file: FileRow,
  claim: UploadClaim,
): Promise<RemoteFile> {
  const { row, provider } = opened;
  let { saved } = claim;
  try {
    return await whileHeartbeating(async (signal, heartbeat) => {
      const content = await dependencies.contents.open(file);
      try {
        return await provider.uploadDataset(
          {
            jobId: row.id,
            role: claim.role,
            content,
            sizeBytes: file.sizeBytes,
            since: row.createdAt.toISOString(),
            resumeFrom: saved ?? undefined,
            saveProgress: async (progress) => {
              if (!(await dependencies.jobUploads.save(row.id, claim, progress))) throw overtaken(claim);
              saved = progress;
              // The row is what counts; this shows in Temporal's Web UI.
              heartbeat(saved);
            },
            heartbeat: () => {
              heartbeat(saved);
            },
          },
          signal,
        );
      } finally {
        content.destroy();
      }
    });
  } catch (error) {
    if (saved !== null && isLast(error)) await discard(dependencies, opened, claim, saved);
    throw error;
  }
}

/** No attempt follows: the job is being cancelled, or this failed for good. A worker that stops is followed by another. */
function isLast(error: unknown): boolean {
  const { cancellationSignal, cancellationDetails } = Context.current();
  if (cancellationSignal.aborted) return cancellationDetails?.cancelRequested === true;
  return error instanceof GatewayError && !error.retryable;
}

/** Gives up what is half-done at once. Where that fails it stays in the row, for `deleteRemote` at the job's end. */
async function discard(
  { jobUploads }: ActivityDependencies,
  { row, provider }: OpenedJob,
  claim: UploadClaim,
  saved: JsonValue,
): Promise<void> {
  try {
    // Not the attempt's own signal: a cancellation has aborted that.
    await provider.discardUpload(saved, AbortSignal.timeout(DISCARD_TIMEOUT_MS));
    await jobUploads.save(row.id, claim, null);
  } catch (error) {
    Context.current().log.warn('a half-done upload could not be discarded yet', { jobId: row.id, error });
  }
}

/** An attempt that was taken for lost came first; or the job has ended meanwhile. */
async function uploadedMeanwhile({ jobs }: ActivityDependencies, input: DatasetInput): Promise<string> {
  const { status, remoteFiles } = await jobs.get(input.jobId);
  const remoteFileId = remoteFiles[input.role];
  if (remoteFileId !== undefined) return remoteFileId;
  throw new GatewayError('invalid_job_state', `The job is ${status} already; nothing is uploaded.`);
}

/** A later attempt is at it, or the job's end: this one is only late. Retryable, because it says nothing of the file. */
function overtaken({ role }: UploadClaim): GatewayError {
  return new GatewayError('conflict', `Another attempt has taken over the upload of the ${role} file.`, {
    retryable: true,
  });
}
