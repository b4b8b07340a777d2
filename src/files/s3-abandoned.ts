import {
  AbortMultipartUploadCommand,
  ListMultipartUploadsCommand,
  type ListMultipartUploadsCommandOutput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { isContentId } from './content-id.js';
import { s3Problem } from './s3-errors.js';

/**
 * Aborts uploads in parts that were begun below `root` before then: what a crash, or a lost answer, has left. Answers how
 * many; the errors are the SDK's.
 */
export async function abortUploads(client: S3Client, bucket: string, root: string, begunBefore: Date): Promise<number> {
  let aborted = 0;
  let marker: string | undefined;
  do {
    const page: ListMultipartUploadsCommandOutput = await client.send(
      new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: root, KeyMarker: marker }),
    );
    for (const { Key: key = '', UploadId: uploadId, Initiated: initiated } of page.Uploads ?? []) {
      const name = /^(?:content|check)\/(.*)$/.exec(key.slice(root.length))?.[1] ?? '';
      if (!isContentId(name) || initiated === undefined || initiated >= begunBefore) continue;
      if (await abort(client, bucket, key, uploadId)) aborted += 1;
    }
    // By the key alone: Versity's gateway (1.8.0) refuses its own upload id markers. Further uploads of the last key are
    // left to the next call, which no longer finds those before them.
    marker = page.IsTruncated === true ? page.NextKeyMarker : undefined;
  } while (marker !== undefined);
  return aborted;
}

/** False where it was finished or removed meanwhile. */
async function abort(client: S3Client, bucket: string, key: string, uploadId: string | undefined): Promise<boolean> {
  try {
    await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: uploadId }));
    return true;
  } catch (error) {
    if (s3Problem(error).code !== 'NoSuchUpload') throw error;
    return false;
  }
}
