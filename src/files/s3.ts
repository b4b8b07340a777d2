import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  type S3Client,
} from '@aws-sdk/client-s3';
import * as nodeFileSystem from 'node:fs/promises';
import type { GatewayError } from '../domain/errors.js';
import { checkContentId, isContentId } from './content-id.js';
import type { FileSystem } from './disk.js';
import type { FileStore, StoreEntry } from './file-store.js';
import type { S3Credentials, S3Location } from './location.js';
import { abortReason } from './receive-content.js';
import { abortUploads } from './s3-abandoned.js';
import { checkS3 } from './s3-check.js';
import { createS3Client, DEFAULT_S3_TIMING, type S3Timing } from './s3-client.js';
import { s3Failure, s3Problem } from './s3-errors.js';
import { readS3Object } from './s3-read.js';
import { createS3Uploader, DEFAULT_S3_LIMITS, type S3UploadLimits } from './s3-upload.js';
import { createSpool } from './spool.js';

export interface S3FileStoreOptions {
  /** Of the spool. */
  readonly fileSystem?: FileSystem;
  readonly timing?: Partial<S3Timing>;
  readonly limits?: Partial<S3UploadLimits>;
}

/**
 * File content in a bucket: `<prefix>/content/<id>`, sent from a spool on this machine's disk. S3 itself is asked nothing
 * here: whether it answers, and permits what is needed, is what `check` says.
 */
export async function createS3FileStore(
  location: S3Location,
  credentials: S3Credentials | null,
  options: S3FileStoreOptions = {},
): Promise<FileStore> {
  const timing = { ...DEFAULT_S3_TIMING, ...options.timing };
  const limits = { ...DEFAULT_S3_LIMITS, ...options.limits };
  const { bucket } = location;
  const root = location.prefix === '' ? '' : `${location.prefix}/`;
  const contents = `${root}content/`;
  const keyOf = (id: string): string => contents + checkContentId(id);
  const failure = (error: unknown, contentId?: string): GatewayError =>
    s3Failure(error, {
      bucket,
      region: location.region,
      credentials,
      ...(contentId === undefined ? {} : { contentId }),
    });

  const spool = await createSpool(location.spoolDirectory, options.fileSystem ?? nodeFileSystem);
  const client = createS3Client(location, credentials, timing);
  const upload = createS3Uploader({ client, location, timing, limits });

  return {
    async put(id, content, { maxBytes, signal }) {
      const key = keyOf(id);
      return spool.hold(id, content, { maxBytes, signal }, async (spooled) => {
        try {
          await upload(key, spooled, signal);
        } catch (error) {
          throw signal?.aborted === true ? abortReason(signal) : failure(error);
        }
        return { sizeBytes: spooled.sizeBytes, sha256: spooled.sha256 };
      });
    },
    async open(id, range) {
      const key = keyOf(id);
      return readS3Object({ client, bucket, timing, failure: (error) => failure(error, id) }, key, range);
    },
    async sizeBytes(id) {
      const key = keyOf(id);
      try {
        const found = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key }));
        if (found.ContentLength === undefined) throw new Error('the answer has no length');
        return found.ContentLength;
      } catch (error) {
        if (s3Problem(error).status !== 404) throw failure(error);
        return sizeOfMissing(client, bucket, key, failure);
      }
    },
    async delete(id) {
      const key = keyOf(id);
      try {
        await client.send(new DeleteObjectCommand({ Bucket: bucket, Key: key }));
      } catch (error) {
        if (s3Problem(error).code !== 'NoSuchKey') throw failure(error);
      }
    },
    list: (signal) => listContents(client, bucket, contents, failure, signal),
    async removeAbandoned(begunBefore) {
      const spooled = await spool.removeStale(begunBefore);
      try {
        return spooled + (await abortUploads(client, bucket, root, begunBefore));
      } catch (error) {
        throw failure(error);
      }
    },
    async check() {
      await spool.check();
      try {
        await checkS3(client, location, root, timing.checkTimeoutMs);
      } catch (error) {
        throw failure(error);
      }
    },
  };
}

/** The answer to HEAD has no code: it is the same for a content and for a bucket that is not there. */
async function sizeOfMissing(
  client: S3Client,
  bucket: string,
  key: string,
  failure: (error: unknown) => GatewayError,
): Promise<number | null> {
  const abort = new AbortController();
  try {
    const found = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }), { abortSignal: abort.signal });
    return found.ContentLength ?? null;
  } catch (error) {
    if (s3Problem(error).code === 'NoSuchKey') return null;
    throw failure(error);
  } finally {
    abort.abort();
  }
}

async function* listContents(
  client: S3Client,
  bucket: string,
  prefix: string,
  failure: (error: unknown) => GatewayError,
  signal: AbortSignal | undefined,
): AsyncGenerator<StoreEntry, void, undefined> {
  let token: string | undefined;
  do {
    const command = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ContinuationToken: token });
    const page = await client
      .send(command, signal === undefined ? {} : { abortSignal: signal })
      .catch((error: unknown) => {
        throw signal?.aborted === true ? abortReason(signal) : failure(error);
      });
    for (const { Key: key, LastModified: modifiedAt } of page.Contents ?? []) {
      signal?.throwIfAborted();
      const id = key?.slice(prefix.length) ?? '';
      // What somebody else keeps below our prefix is not ours.
      if (isContentId(id) && modifiedAt !== undefined) yield { id, modifiedAt };
    }
    token = page.IsTruncated === true ? page.NextContinuationToken : undefined;
  } while (token !== undefined);
}
