import { GetObjectCommand, type GetObjectCommandOutput, type S3Client } from '@aws-sdk/client-s3';
import { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import type { ByteRange } from './file-store.js';
import type { S3Timing } from './s3-client.js';
import { mayPass, s3Problem } from './s3-errors.js';

export interface S3ReadDependencies {
  readonly client: S3Client;
  readonly bucket: string;
  readonly timing: S3Timing;
  /** What a failed request becomes. */
  readonly failure: (error: unknown) => Error;
}

/** One answer with content: from which byte, up to which one, excluded. */
interface Answer {
  readonly body: Readable;
  readonly from: number;
  readonly until: number;
  readonly etag: string | null;
}

const HIGH_WATER_MARK = 64 * 1024;

/**
 * The content of a key, or a part of it. A connection that is cut or stalls is followed by another one from the byte that
 * was reached, of the very same object (`If-Match`). It gives every byte that the first answer promised, or fails.
 */
export async function readS3Object(
  { client, bucket, timing, failure }: S3ReadDependencies,
  key: string,
  range: ByteRange | undefined,
): Promise<Readable> {
  const abort = new AbortController();
  const request = async (wanted: string | null, etag: string | null): Promise<Answer> => {
    const command = new GetObjectCommand({
      Bucket: bucket,
      Key: key,
      ...(wanted === null ? {} : { Range: `bytes=${wanted}` }),
      ...(etag === null ? {} : { IfMatch: etag }),
    });
    return answerOf(await client.send(command, { abortSignal: abort.signal }), wanted);
  };

  let answer: Answer;
  try {
    answer = await request(range === undefined ? null : `${range.start}-${range.end}`, null);
  } catch (error) {
    // From behind the end there is nothing, as on a disk; an empty content has no first byte to ask for.
    if (range !== undefined && s3Problem(error).code === 'InvalidRange')
      return Readable.from([], { objectMode: false });
    throw failure(error);
  }
  const { until, etag } = answer;
  let position = answer.from;
  let failures = 0;
  let current = chunksOf(answer.body);

  const pull = async (): Promise<Buffer | null> => {
    for (;;) {
      let problem: unknown;
      try {
        const chunk = await current.next();
        if (chunk !== null && position + chunk.length <= until) {
          position += chunk.length;
          failures = 0;
          return chunk;
        }
        if (chunk === null && position === until) return null;
        problem = new Error(chunk === null ? 'the content ended early' : 'the content is longer than was said');
      } catch (error) {
        problem = error;
      }
      current.close();
      failures += 1;
      if (etag === null || failures >= timing.attempts || !mayPass(problem)) throw problem;
      await delay(timing.retryDelayMs * 2 ** (failures - 1), undefined, { signal: abort.signal });
      current = chunksOf((await request(`${position}-${until - 1}`, etag)).body);
    }
  };

  return new Readable({
    highWaterMark: HIGH_WATER_MARK,
    read() {
      pull().then(
        (chunk) => this.push(chunk),
        (error: unknown) => this.destroy(failure(error)),
      );
    },
    destroy(error, callback) {
      abort.abort();
      current.close();
      callback(error);
    },
  });
}

function answerOf(output: GetObjectCommandOutput, wanted: string | null): Answer {
  const { Body: body, ContentLength: sizeBytes, ContentRange: contentRange, ETag: etag } = output;
  if (!(body instanceof Readable)) throw new Error('the answer has no content');
  const from = wanted === null ? 0 : Number(/^bytes (\d+)-/.exec(contentRange ?? '')?.[1] ?? NaN);
  if (sizeBytes === undefined || (wanted !== null && !wanted.startsWith(`${from}-`))) {
    body.destroy();
    throw new Error('the answer does not say which part of the content it is');
  }
  return { body, from, until: from + sizeBytes, etag: etag ?? null };
}

/** Chunks of a body by request, null at its end. It can be closed while one is awaited. */
function chunksOf(body: Readable) {
  const iterator = body.iterator({ destroyOnReturn: true });
  return {
    async next(): Promise<Buffer | null> {
      const result: IteratorResult<unknown> = await iterator.next();
      if (result.done === true) return null;
      if (!Buffer.isBuffer(result.value)) throw new Error('the content is not bytes');
      return result.value;
    },
    close(): void {
      // After this nobody listens for what the broken connection still has to say.
      body.on('error', () => undefined);
      body.destroy();
    },
  };
}
