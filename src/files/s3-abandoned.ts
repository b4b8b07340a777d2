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
  for (const upload of await findUploads(client, bucket, root, begunBefore)) {
    try {
      await client.send(new AbortMultipartUploadCommand({ Bucket: bucket, ...upload }));
      aborted += 1;
    } catch (error) {
      // Finished or removed meanwhile.
      if (s3Problem(error).code !== 'NoSuchUpload') throw error;
    }
  }
  return aborted;
}

interface BegunUpload {
  readonly Key: string;
  readonly UploadId: string | undefined;
}

/** All pages before the first is aborted: not every server goes on from an upload that is no longer there. */
async function findUploads(
  client: S3Client,
  bucket: string,
  root: string,
  begunBefore: Date,
): Promise<readonly BegunUpload[]> {
  const found: BegunUpload[] = [];
  let marker: Marker | null = {};
  while (marker !== null) {
    const page: ListMultipartUploadsCommandOutput = await client.send(
      new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: root, ...marker }),
    );
    for (const { Key = '', UploadId, Initiated: initiated } of page.Uploads ?? []) {
      const name = /^(?:content|check)\/(.*)$/.exec(Key.slice(root.length))?.[1] ?? '';
      if (isContentId(name) && initiated !== undefined && initiated < begunBefore) found.push({ Key, UploadId });
    }
    marker = nextMarker(page);
  }
  return found;
}

interface Marker {
  readonly KeyMarker?: string;
  readonly UploadIdMarker?: string;
}

function nextMarker({
  IsTruncated,
  NextKeyMarker,
  NextUploadIdMarker,
}: ListMultipartUploadsCommandOutput): Marker | null {
  if (IsTruncated !== true || NextKeyMarker === undefined) return null;
  return {
    KeyMarker: NextKeyMarker,
    ...(NextUploadIdMarker === undefined ? {} : { UploadIdMarker: NextUploadIdMarker }),
  };
}
