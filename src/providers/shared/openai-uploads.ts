// OpenAI's Uploads: a file in parts. OpenAI and Azure OpenAI speak it.
import { createHash } from 'node:crypto';
import { toStreamingFile, type OpenAI } from 'openai';
import { z } from 'zod';
import { GatewayError } from '../../domain/errors.js';
import type { UploadInput } from '../../domain/provider-port.js';
import type { CallOptions, OpenAICaller } from './openai-call.js';
import { fileReply } from './openai-fine-tuning.js';

/**
 * Files above this go in parts, as one request below: 100 MB.
 * A part has at most 64 MB; that these are 1000 * 1000 bytes each is the reading that is right whichever OpenAI means.
 *
 * @see https://developers.openai.com/api/reference/resources/uploads (read 2026-11-23)
 */
export const UPLOAD_SIZES: UploadSizes = { inPartsAboveBytes: 100_000_000, partBytes: 64_000_000 };

export interface UploadSizes {
  readonly inPartsAboveBytes: number;
  readonly partBytes: number;
}

const CALL_TIMEOUT_MS = 30_000;
/** A line below 55 kB/s does not get a file above 100 MB through in the hour that an upload lives. */
const PART_TIMEOUT_MS = 20 * 60_000;
/** The vendor joins the parts and hashes the whole meanwhile. */
const COMPLETE_TIMEOUT_MS = 5 * 60_000;
/** An upload with less left is not gone on with. */
const LEAST_LIFE_MS = 60_000;
/** As in OpenAI's example of an upload for fine-tuning. */
const MIME_TYPE = 'text/jsonl';

const uploadReply = z.looseObject({
  id: z.string().min(1),
  status: z.string().nullish(),
  /** Unix seconds. */
  expires_at: z.number().nullish(),
  file: fileReply.nullish(),
});
const partReply = z.looseObject({ id: z.string().min(1) });
const anyReply = z.looseObject({});

/** What is saved after each part. Another shape is a version's that is not this one: the upload begins anew. */
const progressSchema = z.strictObject({
  kind: z.literal('openai_upload'),
  uploadId: z.string().min(1),
  sizeBytes: z.number().int().nonnegative(),
  partBytes: z.number().int().positive(),
  /** Of the parts that the vendor has, in order; each has `partBytes`, but the last. */
  partIds: z.array(z.string().min(1)),
  /** ISO 8601; null where the vendor did not say. */
  expiresAt: z.string().nullable(),
});
type Progress = z.infer<typeof progressSchema>;

export interface OpenAIUploadsDependencies {
  readonly client: OpenAI;
  readonly caller: OpenAICaller;
  /** The vendor as people write it, and its name in the registry. */
  readonly vendor: string;
  readonly provider: string;
  readonly partBytes: number;
  readonly now: () => Date;
}

export interface FileInParts extends Pick<UploadInput, 'content' | 'sizeBytes' | 'resumeFrom' | 'saveProgress'> {
  readonly fileName: string;
  /** Looks for the file by name and size, where the vendor says completed and not as what. */
  find(): Promise<string | null>;
}

export interface OpenAIUploads {
  /**
   * Sends a file in parts, one after the other, and answers its id. Goes on after the last part that was saved. What
   * fails for good is cancelled at the vendor; after any other failure the upload stays, for the next attempt.
   */
  send(file: FileInParts, signal: AbortSignal): Promise<string>;
  /** Cancels the upload; no error where the vendor does not have it, or has it no longer as half-done. */
  discard(progress: unknown, signal: AbortSignal): Promise<void>;
}

export function createOpenAIUploads(dependencies: OpenAIUploadsDependencies): OpenAIUploads {
  const { client, caller, vendor, provider, now } = dependencies;
  const calling = (signal: AbortSignal, timeoutMs = CALL_TIMEOUT_MS): CallOptions => ({
    kind: 'upload',
    timeoutMs,
    signal,
  });

  const cancel = async (uploadId: string, signal: AbortSignal): Promise<void> => {
    try {
      await caller.json(anyReply, calling(signal), (options) => client.uploads.cancel(uploadId, options));
    } catch (error) {
      // Completed, cancelled, expired or unknown: there is no way to read an upload, and nothing half-done to find.
      if (!isRefusal(error) || error.code === 'provider_auth_error') throw error;
    }
  };

  const begin = async (file: FileInParts, signal: AbortSignal): Promise<Progress> => {
    const upload = await caller.json(uploadReply, calling(signal), (options) =>
      client.uploads.create(
        { filename: file.fileName, purpose: 'fine-tune', bytes: file.sizeBytes, mime_type: MIME_TYPE },
        options,
      ),
    );
    const progress: Progress = {
      kind: 'openai_upload',
      uploadId: upload.id,
      sizeBytes: file.sizeBytes,
      partBytes: dependencies.partBytes,
      partIds: [],
      expiresAt: typeof upload.expires_at === 'number' ? new Date(upload.expires_at * 1000).toISOString() : null,
    };
    try {
      await file.saveProgress(progress);
    } catch (error) {
      // Nobody would find it again. Best effort: it has no part yet, and the vendor ends it after an hour.
      await cancel(upload.id, new AbortController().signal).catch(() => undefined);
      throw error;
    }
    return progress;
  };

  /** What an earlier attempt saved, where there is something to go on with; the rest of it is cancelled. */
  const resume = async (file: FileInParts, signal: AbortSignal): Promise<Progress | null> => {
    const saved = progressSchema.safeParse(file.resumeFrom).data;
    if (saved === undefined) return null;
    if (saved.sizeBytes === file.sizeBytes && saved.partIds.length <= partCount(saved) && !endsSoon(saved, now())) {
      return saved;
    }
    await cancel(saved.uploadId, signal);
    await file.saveProgress(null);
    return null;
  };

  const sendPart = async (
    file: FileInParts,
    progress: Progress,
    slices: Slices,
    signal: AbortSignal,
  ): Promise<Progress> => {
    const endBytes = Math.min(file.sizeBytes, bytesDone(progress) + progress.partBytes);
    const data = toStreamingFile(slices.take(endBytes - slices.takenBytes()), file.fileName, { type: MIME_TYPE });
    const part = await caller.json(partReply, calling(signal, PART_TIMEOUT_MS), (options) =>
      client.uploads.parts.create(progress.uploadId, { data }, options),
    );
    if (slices.takenBytes() !== endBytes) {
      const message = `${vendor} answered before it had the whole part ${progress.partIds.length + 1} of ${file.fileName}.`;
      throw new GatewayError('provider_invalid_response', message, { provider });
    }
    const further = { ...progress, partIds: [...progress.partIds, part.id] };
    await file.saveProgress(further);
    return further;
  };

  const complete = async (file: FileInParts, progress: Progress, md5: string, signal: AbortSignal): Promise<string> => {
    const body = { part_ids: progress.partIds, md5 };
    const reply = await caller.json(uploadReply, calling(signal, COMPLETE_TIMEOUT_MS), (options) =>
      client.uploads.complete(progress.uploadId, body, options),
    );
    const id = reply.file?.id ?? (reply.status === 'completed' ? await file.find() : null);
    if (id === null) {
      const message = `${vendor} says of the upload ${progress.uploadId} '${reply.status ?? 'nothing'}' and names no file.`;
      throw new GatewayError('provider_invalid_response', message, { provider });
    }
    const keptBytes = reply.file?.bytes;
    if (typeof keptBytes === 'number' && keptBytes !== file.sizeBytes) {
      await file.saveProgress(null);
      const message = `${vendor} kept ${keptBytes} of the ${file.sizeBytes} bytes of ${file.fileName}.`;
      throw new GatewayError('provider_invalid_response', message, { provider });
    }
    return id;
  };

  /** What the caller sees of a failure, once nothing half-done is left of what failed for good. */
  const settle = async (
    file: FileInParts,
    progress: Progress,
    failure: { readonly error: unknown; readonly resumed: boolean },
    signal: AbortSignal,
  ): Promise<unknown> => {
    const { error } = failure;
    if (!(error instanceof GatewayError) || error.retryable) return error;
    // These credentials do not cancel either: what is saved is for `discard`, with others.
    if (error.code === 'provider_auth_error') return error;
    const vanished = error.code === 'provider_not_found' && !hasExpired(progress, now());
    // What was refused may have expired, have been cancelled, or have a part more than we know of; a new upload tells.
    const beginAnew = isRefusal(error) && (failure.resumed || vanished);
    try {
      await cancel(progress.uploadId, signal);
      await file.saveProgress(null);
    } catch (problem) {
      return beginAnew ? problem : error;
    }
    if (!beginAnew) return error;
    const message = `The upload to ${vendor} cannot be gone on with and begins anew. ${error.message}`;
    return new GatewayError(error.code, message, {
      retryable: true,
      provider,
      cause: error,
      ...(error.providerStatus === undefined ? {} : { providerStatus: error.providerStatus }),
      ...(error.providerRequestId === undefined ? {} : { providerRequestId: error.providerRequestId }),
    });
  };

  return {
    async send(file, signal) {
      const saved = await resume(file, signal);
      let progress = saved ?? (await begin(file, signal));
      const slices = sliced(file.content, signal);
      try {
        await slices.skip(bytesDone(progress));
        while (progress.partIds.length < partCount(progress)) {
          progress = await sendPart(file, progress, slices, signal);
        }
        return await complete(file, progress, await slices.end(), signal);
      } catch (error) {
        // What a cancelled attempt leaves is its caller's to keep or to discard.
        signal.throwIfAborted();
        // fetch would report the content's failure as one of the network.
        const cause = slices.failure()?.error ?? error;
        throw await settle(file, progress, { error: cause, resumed: saved !== null }, signal);
      }
    },

    async discard(progress, signal) {
      const saved = progressSchema.safeParse(progress).data;
      if (saved !== undefined) await cancel(saved.uploadId, signal);
    },
  };
}

const partCount = ({ sizeBytes, partBytes }: Progress): number => Math.ceil(sizeBytes / partBytes);

const bytesDone = ({ partIds, partBytes, sizeBytes }: Progress): number =>
  Math.min(sizeBytes, partIds.length * partBytes);

const hasExpired = ({ expiresAt }: Progress, now: Date): boolean =>
  expiresAt !== null && Date.parse(expiresAt) <= now.getTime();

const endsSoon = (progress: Progress, now: Date): boolean =>
  hasExpired(progress, new Date(now.getTime() + LEAST_LIFE_MS));

/** The vendor's own no, with which trying again changes nothing. */
const isRefusal = (error: unknown): error is GatewayError =>
  error instanceof GatewayError && !error.retryable && error.provider !== undefined;

interface Slices {
  /** The next bytes, as they come. */
  take(lengthBytes: number): AsyncIterable<Uint8Array>;
  skip(lengthBytes: number): Promise<void>;
  takenBytes(): number;
  /** Reads to the end, which is where damage shows, and answers the MD5 of the whole, in hex. */
  end(): Promise<string>;
  /** What reading the content has thrown. */
  failure(): { readonly error: unknown } | undefined;
}

/** Content cut by length, each byte read once and hashed on its way; no more than one chunk of it is held. */
function sliced(content: AsyncIterable<Uint8Array>, signal: AbortSignal): Slices {
  const iterator = content[Symbol.asyncIterator]();
  const md5 = createHash('md5');
  let held: Uint8Array = new Uint8Array(0);
  let takenBytes = 0;
  let failure: { readonly error: unknown } | undefined;

  const fill = async (): Promise<boolean> => {
    while (held.length === 0) {
      signal.throwIfAborted();
      const next = await iterator.next().catch((error: unknown) => {
        failure = { error };
        throw error;
      });
      if (next.done === true) return false;
      held = next.value;
    }
    return true;
  };

  async function* take(lengthBytes: number): AsyncGenerator<Uint8Array> {
    const endBytes = takenBytes + lengthBytes;
    while (takenBytes < endBytes && (await fill())) {
      const slice = held.subarray(0, endBytes - takenBytes);
      held = held.subarray(slice.length);
      takenBytes += slice.length;
      md5.update(slice);
      yield slice;
    }
  }

  return {
    take,
    async skip(lengthBytes) {
      const slices = take(lengthBytes);
      while ((await slices.next()).done !== true);
    },
    takenBytes: () => takenBytes,
    async end() {
      if (await fill())
        throw new GatewayError('file_content_missing', 'The stored file has more bytes than its row says.');
      return md5.digest('hex');
    },
    failure: () => failure,
  };
}
