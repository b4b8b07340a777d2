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
import { createContentWithRow } from './content-with-row.js';
import type { FileContents } from './file-contents.js';
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
  /** See `FileContents.open`. */
  openContent(file: FileRow, range?: ByteRange): Promise<Readable>;
  /** Removes files past their `expires_at`, rows and bytes; answers how many. Called from time to time. */
  removeExpired(): Promise<number>;
}

export interface FilesServiceDependencies {
  readonly repository: FileRepository;
  readonly store: FileStore;
  readonly contents: FileContents;
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
  contents,
  maxFileBytes,
  logger,
}: FilesServiceDependencies): FilesService {
  const rows = createContentWithRow({ store, logger });
  const get = async (workspaceId: string, id: string): Promise<FileRow> => {
    const file = FILE_ID.test(id) ? await repository.get(workspaceId, id) : null;
    if (file === null) throw noSuchFile(id);
    return file;
  };
  const insert = (file: NewFile): Promise<FileRow> =>
    rows.insert({
      contentId: file.id,
      insert: () => repository.insert(file),
      find: () => repository.get(file.workspaceId, file.id),
      whenUnknown:
        'The database does not answer. Whether the file was made is not known: look for it in the list before you send it again.',
    });
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
        await rows.remove([staged.id]);
        throw error;
      }
      return insert({ ...staged, workspaceId, ...description });
    },
    discard: (staged) => rows.remove([staged.id]),
    async list(workspaceId, query) {
      if (query.after !== undefined && !FILE_ID.test(query.after)) throw noSuchFile(query.after, 'after');
      return repository.list(workspaceId, query);
    },
    get,
    async delete(workspaceId, id) {
      await get(workspaceId, id);
      const contentIds = await repository.delete(workspaceId, id);
      if (contentIds === null) throw noSuchFile(id);
      await rows.remove(contentIds);
    },
    openContent: (file, range) => contents.open(file, range),
    async removeExpired() {
      let removed = 0;
      for (;;) {
        const { count, contentIds } = await repository.deleteExpired(EXPIRED_BATCH);
        await rows.remove(contentIds);
        removed += count;
        if (count < EXPIRED_BATCH) return removed;
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

function checkDescription(staged: StagedContent, { filename, purpose }: FileDescription): void {
  checkFilename(filename, purpose);
  if (staged.sizeBytes === 0) {
    throw new GatewayError('invalid_request', 'File is empty. Please upload a file with content.', { param: 'file' });
  }
}
