import { GatewayError } from '../../domain/errors.js';
import type { DatasetRole } from '../../domain/job.js';
import type { UploadInput } from '../../domain/provider-port.js';
import type { FileReply } from './wire.js';

// A row of ours is a row of OpenAI's: what was validated is uploaded byte for byte.

/** How often an upload reports that it moves. */
const HEARTBEAT_BYTES = 1024 * 1024;
/** Clocks differ: what an earlier attempt uploaded may seem older than the job. */
const CLOCK_SLACK_MS = 60 * 60 * 1000;

/** The name of a dataset at OpenAI, by which an earlier attempt's upload is found. */
export function remoteFileName(jobId: string, role: DatasetRole): string {
  return `${jobId}-${role}.jsonl`;
}

/** True for the whole upload of an earlier attempt. */
export function isEarlierUpload(file: FileReply, fileName: string, sizeBytes: number): boolean {
  return file.filename === fileName && file.bytes === sizeBytes && file.status !== 'error' && file.status !== 'deleted';
}

/** True for a file too old to be of this job; the list, newest first, need not be read any further. */
export function isBefore(file: FileReply, since: string): boolean {
  return typeof file.created_at === 'number' && file.created_at * 1000 < Date.parse(since) - CLOCK_SLACK_MS;
}

/** The content as it is, counted: it must have the size that was validated, or nothing arrives. */
export async function* countedContent({
  content,
  sizeBytes,
  heartbeat,
}: Pick<UploadInput, 'content' | 'sizeBytes' | 'heartbeat'>): AsyncGenerator<Uint8Array> {
  let sentBytes = 0;
  let reportedBytes = 0;
  for await (const chunk of content) {
    sentBytes += chunk.length;
    if (sentBytes > sizeBytes) break;
    yield chunk;
    if (sentBytes - reportedBytes >= HEARTBEAT_BYTES) {
      reportedBytes = sentBytes;
      heartbeat();
    }
  }
  if (sentBytes !== sizeBytes) {
    throw new GatewayError('file_content_missing', `The stored file does not have its ${sizeBytes} bytes.`);
  }
}
