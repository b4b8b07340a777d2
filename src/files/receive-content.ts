import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { GatewayError } from '../domain/errors.js';
import { ignore, onDisk } from './disk.js';
import type { StoredContent } from './file-store.js';

/** Small chunks are gathered to this size, in one buffer that is used again: nothing is left for the garbage collector. */
const WRITE_BYTES = 256 * 1024;

export interface ReceiveOptions {
  /** Above it: `payload_too_large`. */
  readonly maxBytes: number;
  readonly signal?: AbortSignal | undefined;
}

/** Writes content into an open file with back pressure, hashing it on the way. Cleaning up after a failure is the caller's. */
export async function receiveContent(
  handle: Pick<FileHandle, 'write'>,
  content: AsyncIterable<Uint8Array>,
  { maxBytes, signal }: ReceiveOptions,
): Promise<StoredContent> {
  const hash = createHash('sha256');
  const iterator = content[Symbol.asyncIterator]();
  let sizeBytes = 0;
  const gathered = Buffer.allocUnsafe(WRITE_BYTES);
  let gatheredBytes = 0;
  const flush = async (): Promise<void> => {
    for (let offset = 0; offset < gatheredBytes;) {
      offset += (await onDisk(() => handle.write(gathered, offset, gatheredBytes - offset))).bytesWritten;
    }
    gatheredBytes = 0;
  };
  const gather = async (chunk: Uint8Array): Promise<void> => {
    for (let offset = 0; offset < chunk.byteLength;) {
      const part = chunk.subarray(offset, offset + WRITE_BYTES - gatheredBytes);
      gathered.set(part, gatheredBytes);
      gatheredBytes += part.byteLength;
      offset += part.byteLength;
      if (gatheredBytes === WRITE_BYTES) await flush();
    }
  };
  try {
    for (;;) {
      const next = await nextOrAbort(iterator, signal);
      if (next.done === true) break;
      sizeBytes += next.value.byteLength;
      if (sizeBytes > maxBytes) {
        throw new GatewayError('payload_too_large', `The file is over the limit of ${maxBytes} bytes.`, {
          param: 'file',
        });
      }
      hash.update(next.value);
      await gather(next.value);
    }
    await flush();
  } catch (error) {
    // Not awaited: a source that never answers must not hold up the clean-up.
    void Promise.resolve(iterator.return?.()).catch(ignore);
    throw error;
  }
  return { sizeBytes, sha256: hash.digest('hex') };
}

/** What to throw for a signal that has aborted. */
export function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason });
}

/** The next chunk, or the signal's reason at once, even while the source is silent. */
function nextOrAbort(
  iterator: AsyncIterator<Uint8Array>,
  signal: AbortSignal | undefined,
): Promise<IteratorResult<Uint8Array>> {
  if (signal === undefined) return iterator.next();
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortReason(signal));
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    void iterator
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', onAbort));
  });
}
