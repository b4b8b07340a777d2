import type { Readable } from 'node:stream';
import { GatewayError } from '../domain/errors.js';
import type { Logger } from '../observability/logger.js';
import {
  noSuchFile,
  type FileListQuery,
  type FilePage,
  type FileRepository,
  type FileRow,
  type NewFile,
} from '../store/files.js';
import { newId } from '../store/new-id.js';
import type { ByteRange, FileStore } from './file-store.js';

export type { FileListQuery, FilePage, FileRow } from '../store/files.js';

/** Purposes OpenAI takes for uploads. @see openai-openapi, CreateFileRequest (2026-05-31, read 2026-11-23) */
export const UPLOAD_PURPOSES = ['assistants', 'batch', 'fine-tune', 'vision', 'user_data', 'evals'] as const;
export type UploadPurpose = (typeof UPLOAD_PURPOSES)[number];

/** Content that is in the store while it is not yet decided whether it becomes a file. */
export interface StagedContent {
  readonly id: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface FileDescription {
  readonly filename: string;
  readonly purpose: UploadPurpose;
  readonly expiresAfterSeconds?: number;
}

export interface FilesService {
  /** `MAX_FILE_BYTES`. */
  readonly maxFileBytes: number;
  /** Streams content in. Follow it with `commit` or `discard`. `payload_too_large`, `storage_full`, `storage_unavailable`. */
  stage(content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<StagedContent>;
  /**
   * Makes staged content a file. When that fails the content is discarded, unless the row may be there all the same:
   * `database_unavailable`, whose message says so.
   */
  commit(workspaceId: string, staged: StagedContent, description: FileDescription): Promise<FileRow>;
  discard(staged: StagedContent): Promise<void>;
  list(workspaceId: string, query: FileListQuery): Promise<FilePage>;
  /** `file_not_found`. */
  get(workspaceId: string, id: string): Promise<FileRow>;
  /** `file_not_found`, `file_in_use`. */
  delete(workspaceId: string, id: string): Promise<void>;
  /** `file_content_missing` where the row is there and the bytes are not. */
  openContent(file: FileRow, range?: ByteRange): Promise<Readable>;
  /** Removes files past their `expires_at`, rows and bytes; answers how many. Called from time to time. */
  removeExpired(): Promise<number>;
}

export interface FilesServiceDependencies {
  readonly repository: FileRepository;
  readonly store: FileStore;
  readonly maxFileBytes: number;
  readonly logger: Logger;
}

const FILE_ID = /^file-[A-Za-z0-9_-]{1,120}$/;
const EXPIRED_BATCH = 100;

/**
 * Files of a workspace: a row in PostgreSQL and bytes in the file store. Bytes come first and go last, so that no row is ever
 * without its content.
 */
export function createFilesService({
  repository,
  store,
  maxFileBytes,
  logger,
}: FilesServiceDependencies): FilesService {
  const deleteContent = async (id: string): Promise<void> => {
    try {
      await store.delete(id);
    } catch (error) {
      // Nothing refers to these bytes any more; the caller's outcome does not depend on them.
      logger.warn({ err: error, fileId: id }, 'content without a row could not be removed');
    }
  };
  const get = async (workspaceId: string, id: string): Promise<FileRow> => {
    const file = FILE_ID.test(id) ? await repository.get(workspaceId, id) : null;
    if (file === null) throw noSuchFile(id);
    return file;
  };
  /** An insert whose answer was lost may have made the row: its bytes are deleted only where it surely did not. */
  const insert = async (file: NewFile): Promise<FileRow> => {
    try {
      return await repository.insert(file);
    } catch {
      // Idempotent on the id, and it waits for an insert of the same id that is still under way.
    }
    try {
      return await repository.insert(file);
    } catch (error) {
      const found = await repository.get(file.workspaceId, file.id).catch(() => 'unknown' as const);
      if (found === 'unknown' || (found === null && isDatabaseAway(error))) {
        logger.warn({ err: error, fileId: file.id }, 'whether the file was made is not known; its content is kept');
        throw new GatewayError(
          'database_unavailable',
          'The database does not answer. Whether the file was made is not known: look for it in the list before you send it again.',
          { cause: error },
        );
      }
      if (found !== null) return found;
      await deleteContent(file.id);
      throw error;
    }
  };
  return {
    maxFileBytes,
    async stage(content, signal) {
      const id = newId('file-');
      return { id, ...(await store.put(id, content, { maxBytes: maxFileBytes, signal })) };
    },
    async commit(workspaceId, staged, description) {
      try {
        checkDescription(staged, description);
      } catch (error) {
        await deleteContent(staged.id);
        throw error;
      }
      return insert({ ...staged, workspaceId, ...description });
    },
    discard: (staged) => deleteContent(staged.id),
    async list(workspaceId, query) {
      if (query.after !== undefined && !FILE_ID.test(query.after)) throw noSuchFile(query.after, 'after');
      return repository.list(workspaceId, query);
    },
    get,
    async delete(workspaceId, id) {
      await get(workspaceId, id);
      if (!(await repository.delete(workspaceId, id))) throw noSuchFile(id);
      await deleteContent(id);
    },
    openContent: (file, range) => store.open(file.id, range),
    async removeExpired() {
      let removed = 0;
      for (;;) {
        const ids = await repository.deleteExpired(EXPIRED_BATCH);
        for (const id of ids) await deleteContent(id);
        removed += ids.length;
        if (ids.length < EXPIRED_BATCH) return removed;
      }
    },
  };
}

/** `invalid_file_format` for a name that the purpose does not take; for a caller who can tell before the content is sent. */
export function checkFilename(filename: string, purpose: UploadPurpose): void {
  if (purpose === 'fine-tune' && !filename.toLowerCase().endsWith('.jsonl')) {
    throw new GatewayError('invalid_file_format', 'Invalid file format for Fine-Tuning API. Must be .jsonl');
  }
}

function isDatabaseAway(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'database_unavailable';
}

function checkDescription(staged: StagedContent, { filename, purpose }: FileDescription): void {
  checkFilename(filename, purpose);
  if (staged.sizeBytes === 0) {
    throw new GatewayError('invalid_request', 'File is empty. Please upload a file with content.', { param: 'file' });
  }
}
