import {
  AbortMultipartUploadCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from '@aws-sdk/client-s3';
import { Upload } from '@aws-sdk/lib-storage';
import { setTimeout as delay } from 'node:timers/promises';
import type { S3Location } from './location.js';
import type { S3Timing } from './s3-client.js';
import { mayPass, s3Problem } from './s3-errors.js';
import type { SpooledContent } from './spool.js';
import { createTransferLimit } from './transfer-limit.js';

const MIB = 1024 * 1024;

export interface S3UploadLimits {
  /** Up to this a content goes in one request, streamed; above it in parts, each of which is in memory while it is sent. */
  readonly singleMaxBytes: number;
  /** At least 5 MiB, which is S3's smallest part; raised for a content that would have more than 10,000. */
  readonly partBytes: number;
  readonly partsInFlight: number;
  readonly multipartAtOnce: number;
  readonly singleAtOnce: number;
}

export const DEFAULT_S3_LIMITS: S3UploadLimits = {
  singleMaxBytes: 64 * MIB,
  partBytes: 5 * MIB,
  partsInFlight: 3,
  multipartAtOnce: 2,
  singleAtOnce: 6,
};

const MAX_PARTS = 10_000;

export interface S3UploadDependencies {
  readonly client: S3Client;
  readonly location: S3Location;
  readonly timing: S3Timing;
  readonly limits: S3UploadLimits;
}

/** Sends a content that is whole on this machine to a key; it is there whole or not at all. Errors are the SDK's. */
export type S3Uploader = (key: string, content: SpooledContent, signal: AbortSignal | undefined) => Promise<void>;

export function createS3Uploader({ client, location, timing, limits }: S3UploadDependencies): S3Uploader {
  const singles = createTransferLimit(limits.singleAtOnce);
  const multiparts = createTransferLimit(limits.multipartAtOnce);
  const objectOf = (key: string, content: SpooledContent) => ({
    Bucket: location.bucket,
    Key: key,
    ContentLength: content.sizeBytes,
    ContentType: 'application/octet-stream',
    Metadata: { sha256: content.sha256 },
    ...encryptionOf(location),
  });

  /** The SDK does not repeat a request whose body is a stream; here each attempt reads the file anew. */
  const putSingle = async (key: string, content: SpooledContent, signal: AbortSignal | undefined): Promise<void> => {
    for (let attempt = 1; ; attempt += 1) {
      try {
        await putOnce(client, { ...objectOf(key, content) }, content, signal);
        return;
      } catch (error) {
        if (signal?.aborted === true || attempt >= timing.attempts || !mayPass(error)) throw error;
      }
      await delay(timing.retryDelayMs * 2 ** (attempt - 1) * (0.5 + Math.random()), undefined, { signal });
    }
  };

  const putParts = async (key: string, content: SpooledContent, signal: AbortSignal | undefined): Promise<void> => {
    const sender = createSender(client, signal, timing.idleTimeoutMs);
    const body = content.read();
    try {
      const upload = new Upload({
        client: sender.client,
        params: { ...objectOf(key, content), Body: body, ChecksumAlgorithm: 'CRC32' },
        partSize: Math.max(limits.partBytes, Math.ceil(content.sizeBytes / MAX_PARTS)),
        queueSize: limits.partsInFlight,
        leavePartsOnError: false,
      });
      await upload.done();
    } catch (error) {
      // The library tells the failure of its own clean-up in the place of what made that necessary.
      const reason = sender.firstFailure() ?? error;
      if (s3Problem(reason).code === 'NoSuchUpload' && (await isThere(client, location.bucket, key, content))) return;
      throw reason;
    } finally {
      body.destroy();
    }
  };

  return (key, content, signal) =>
    content.sizeBytes <= limits.singleMaxBytes
      ? singles.run(() => putSingle(key, content, signal), signal)
      : multiparts.run(() => putParts(key, content, signal), signal);
}

/** What every write asks for. */
export function encryptionOf({ encryption, kmsKeyId }: S3Location) {
  return {
    ...(encryption === null ? {} : { ServerSideEncryption: encryption }),
    ...(kmsKeyId === null ? {} : { SSEKMSKeyId: kmsKeyId }),
  };
}

async function putOnce(
  client: S3Client,
  object: PutObjectCommandInput,
  content: SpooledContent,
  signal: AbortSignal | undefined,
): Promise<void> {
  const body = content.read();
  const unreadable = new AbortController();
  body.once('error', (error) => unreadable.abort(error));
  const command = new PutObjectCommand({
    ...object,
    Body: body,
    // Known before the first byte: neither trailers nor unsigned bytes, which not every server takes, over http or not.
    ChecksumSHA256: Buffer.from(content.sha256, 'hex').toString('base64'),
  });
  command.middlewareStack.add(
    (next) => (args) => {
      const { request } = args;
      if (typeof request === 'object' && request !== null && 'headers' in request) {
        Object.assign(Object(request.headers), { 'x-amz-content-sha256': content.sha256 });
      }
      return next(args);
    },
    { step: 'build', name: 'tunesmithSignedContent' },
  );
  const signals = signal === undefined ? [unreadable.signal] : [signal, unreadable.signal];
  try {
    await client.send(command, { abortSignal: AbortSignal.any(signals) });
  } catch (error) {
    throw unreadable.signal.aborted ? unreadable.signal.reason : error;
  } finally {
    body.destroy();
  }
}

/**
 * The client as an `Upload` is to use it. That library lets the parts in flight go on when it is told to stop, and comes back
 * before it has cleaned up; so the signal ends its requests, and it takes that for a failure and cleans up before it fails.
 */
function createSender(client: S3Client, signal: AbortSignal | undefined, cleanUpTimeoutMs: number) {
  let failure: unknown;
  const send = async (command: Parameters<S3Client['send']>[0]): Promise<unknown> => {
    const isCleanUp = command instanceof AbortMultipartUploadCommand;
    const abortSignal = isCleanUp ? AbortSignal.timeout(cleanUpTimeoutMs) : signal;
    try {
      return await client.send(command, abortSignal === undefined ? {} : { abortSignal });
    } catch (error) {
      failure ??= error;
      throw error;
    }
  };
  return {
    client: new Proxy(client, {
      get: (target, property): unknown => (property === 'send' ? send : Reflect.get(target, property, target)),
    }),
    firstFailure: () => failure,
  };
}

/** A completion that is repeated because its answer was lost finds its upload gone: then the object is there. */
async function isThere(client: S3Client, bucket: string, key: string, content: SpooledContent): Promise<boolean> {
  const found = await client.send(new HeadObjectCommand({ Bucket: bucket, Key: key })).catch(() => null);
  return found?.ContentLength === content.sizeBytes && found.Metadata?.['sha256'] === content.sha256;
}
