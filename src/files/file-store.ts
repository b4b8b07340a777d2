import type { Readable } from 'node:stream';

export interface ByteRange {
  /** First byte, from 0. */
  readonly start: number;
  /** Last byte, included. */
  readonly end: number;
}

export interface StoredContent {
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
}

/** One content that is in the store. */
export interface StoreEntry {
  readonly id: string;
  readonly modifiedAt: Date;
}

/**
 * Where file content lives, by file id. Content is written once and never changed. What every backend
 * promises is in `test/file-store-contract.ts`.
 *
 * Errors: `storage_full`, `storage_unavailable`, `payload_too_large`, `file_content_missing`.
 */
export interface FileStore {
  /**
   * Streams content in with back pressure and hashes it on the way. All or nothing: a source that fails or a
   * signal that aborts leaves nothing behind. Above `maxBytes` it ends with `payload_too_large`.
   */
  put(
    id: string,
    content: AsyncIterable<Uint8Array>,
    options: { readonly maxBytes: number; readonly signal?: AbortSignal },
  ): Promise<StoredContent>;
  /** The content, or a part of it; `file_content_missing` where there is none. */
  open(id: string, range?: ByteRange): Promise<Readable>;
  /** Size in bytes; null where there is none. */
  sizeBytes(id: string): Promise<number | null>;
  /** Removes the content; no error where there is none. */
  delete(id: string): Promise<void>;
  /** Everything that is whole, in no order. What comes or goes meanwhile may be in it or not. */
  list(signal?: AbortSignal): AsyncIterable<StoreEntry>;
  /** Removes half-written content that was begun before then and that nobody will finish; answers how many. */
  removeAbandoned(begunBefore: Date): Promise<number>;
  /** Ends well when content can be stored and read now. */
  check(): Promise<void>;
}
