import {
  AbortMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  UploadPartCommand,
  type S3Client,
} from '@aws-sdk/client-s3';
import { randomBytes } from 'node:crypto';
import { ignore } from './disk.js';
import type { S3Location } from './location.js';
import { s3Problem } from './s3-errors.js';
import { encryptionOf } from './s3-upload.js';

/** Ends well when content can be written below `root` and read there now, and within this time; the errors are the SDK's. */
export async function checkS3(client: S3Client, location: S3Location, root: string, timeoutMs: number): Promise<void> {
  await within(timeoutMs, (signal) =>
    Promise.all([checkWriting(client, location, root, signal), checkReading(client, location, root, signal)]),
  );
}

/** A part of an upload that is never completed: no object, and on a bucket with versions no version of one. */
async function checkWriting(client: S3Client, location: S3Location, root: string, signal: AbortSignal): Promise<void> {
  const at = { Bucket: location.bucket, Key: `${root}check/${randomBytes(8).toString('hex')}` };
  const begin = new CreateMultipartUploadCommand({ ...at, ChecksumAlgorithm: 'CRC32', ...encryptionOf(location) });
  const { UploadId } = await client.send(begin, { abortSignal: signal });
  // Not by the signal, which may be what ended the part.
  const abort = (): Promise<unknown> => client.send(new AbortMultipartUploadCommand({ ...at, UploadId }));
  try {
    const part = { ...at, UploadId, PartNumber: 1, Body: Buffer.from('check'), ChecksumAlgorithm: 'CRC32' } as const;
    await client.send(new UploadPartCommand(part), { abortSignal: signal });
  } catch (error) {
    await abort().catch(ignore);
    throw error;
  }
  await abort();
}

/** Reading what is not there: who may read and list is told that, and others that they may not. */
async function checkReading(client: S3Client, location: S3Location, root: string, signal: AbortSignal): Promise<void> {
  const at = { Bucket: location.bucket, Key: `${root}check/${randomBytes(8).toString('hex')}` };
  try {
    await client.send(new GetObjectCommand(at), { abortSignal: signal });
  } catch (error) {
    if (s3Problem(error).code !== 'NoSuchKey') throw error;
  }
}

/** Ends in time whatever the task does; the signal tells the task, too. */
async function within<Result>(timeoutMs: number, task: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
  const signal = AbortSignal.timeout(timeoutMs);
  const timedOut = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error(`no answer within ${timeoutMs} ms`)), { once: true });
  });
  return Promise.race([task(signal), timedOut]);
}
