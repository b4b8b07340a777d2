/** The beginning of a content, and the content from its beginning. */
export interface FileHead {
  /** The first bytes, at most `limitBytes`. */
  readonly bytes: Buffer;
  /** Whether `bytes` is all there is. */
  readonly isWhole: boolean;
  readonly content: AsyncIterable<Uint8Array>;
  /** Ends the reading of what was not read. To be called whatever happened. */
  close(): Promise<void>;
}

/** Reads as much as the head needs. Throws what the content throws, and the signal's reason once it is aborted. */
export async function readHead(
  source: AsyncIterable<Uint8Array>,
  limitBytes: number,
  signal: AbortSignal,
): Promise<FileHead> {
  const iterator = source[Symbol.asyncIterator]();
  const held: Uint8Array[] = [];
  let heldBytes = 0;
  let ended = false;
  const close = async (): Promise<void> => {
    if (!ended) await iterator.return?.();
    ended = true;
  };
  const next = async (): Promise<Uint8Array | null> => {
    try {
      const result = await iterator.next();
      if (result.done !== true) return result.value;
    } catch (error) {
      ended = true;
      throw error;
    }
    ended = true;
    return null;
  };

  try {
    while (heldBytes <= limitBytes) {
      signal.throwIfAborted();
      const chunk = await next();
      if (chunk === null) break;
      heldBytes += chunk.length;
      // What outlives the next read is copied: the producer may use its buffer again.
      held.push(heldBytes <= limitBytes ? new Uint8Array(chunk) : chunk);
    }
  } catch (error) {
    await close();
    throw error;
  }
  const isWhole = heldBytes <= limitBytes;
  async function* content(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* held.splice(0);
    while (!ended) {
      const chunk = await next();
      if (chunk !== null) yield chunk;
    }
  }
  const parts = held.map((chunk) => chunk.subarray(0, limitBytes));
  const bytes = Buffer.concat(parts, Math.min(heldBytes, limitBytes));
  return { bytes, isWhole, content: content(), close };
}
