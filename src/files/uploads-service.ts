import { createHash } from 'node:crypto';
import { GatewayError } from '../domain/errors.js';
import type { Logger } from '../observability/logger.js';
import type { FileRepository, FileRow } from '../store/files.js';
import { newId } from '../store/new-id.js';
import {
  noSuchUpload,
  uploadNotPending,
  type PartTotals,
  type UploadPartRow,
  type UploadRepository,
  type UploadRow,
} from '../store/uploads.js';
import { createContentWithRow } from './content-with-row.js';
import type { FileContents } from './file-contents.js';
import type { FileStore } from './file-store.js';
import { checkFilename, type FileDescription, type StagedContent } from './files-service.js';

export type { UploadPartRow, UploadRow } from '../store/uploads.js';

export interface UploadDescription extends FileDescription {
  readonly sizeBytes: number;
  readonly mimeType: string;
}

export interface CompleteRequest {
  /** In the order of the file. */
  readonly partIds: readonly string[];
  /** Of the whole, hex in lower case. */
  readonly md5?: string;
}

/** An upload and the file that was made of it. */
export interface UploadWithFile {
  readonly upload: UploadRow;
  readonly file: FileRow;
}

export interface UploadsService {
  /** `MAX_UPLOAD_PART_BYTES`. */
  readonly maxPartBytes: number;
  /** `payload_too_large`, `invalid_file_format`. */
  create(workspaceId: string, description: UploadDescription): Promise<UploadRow>;
  /** The upload, where it takes another part; to be asked before the part is sent. `upload_not_found`, `upload_not_pending`. */
  requirePending(workspaceId: string, id: string): Promise<UploadRow>;
  /** Streams a part in. Follow it with `commitPart` or `discardPart`. `payload_too_large`, `storage_full`, `storage_unavailable`. */
  stagePart(content: AsyncIterable<Uint8Array>, signal: AbortSignal): Promise<StagedContent>;
  /**
   * Makes staged content a part. When that fails the content is discarded, unless the row may be there all the same:
   * `database_unavailable`, whose message says so. `upload_not_found`, `upload_not_pending`, `payload_too_large`.
   */
  commitPart(upload: UploadRow, staged: StagedContent): Promise<UploadPartRow>;
  discardPart(staged: StagedContent): Promise<void>;
  /**
   * Reads all parts once, checks them, and makes the file: minutes for gigabytes. Said again with the same parts it answers
   * the same, also while the first is still under way. What fails leaves the upload pending.
   *
   * `upload_not_found`, `upload_not_pending`, `invalid_request` for parts that do not fit or another MD5,
   * `file_content_damaged`, `file_content_missing`, `storage_unavailable`.
   */
  complete(workspaceId: string, id: string, request: CompleteRequest): Promise<UploadWithFile>;
  /** Said again it answers the same. `upload_not_found`, `upload_not_pending`. */
  cancel(workspaceId: string, id: string): Promise<UploadRow>;
  /** Ends uploads that ran out of time, rows and bytes of their parts; answers how many. Called from time to time. */
  removeExpired(): Promise<number>;
}

export interface UploadsServiceDependencies {
  readonly repository: UploadRepository;
  readonly files: Pick<FileRepository, 'get' | 'pieces'>;
  readonly store: FileStore;
  readonly contents: FileContents;
  readonly maxUploadBytes: number;
  readonly maxPartBytes: number;
  readonly logger: Logger;
}

const UPLOAD_ID = /^upload_[A-Za-z0-9_-]{1,120}$/;
/** Beyond what 8 GiB in pieces of half a mebibyte needs; each is a row and an object in the store. */
const MAX_PARTS = 20_000;
/** A complete that began in time is not disturbed for so long. */
const EXPIRY_GRACE_MS = 15 * 60 * 1_000;
const EXPIRED_BATCH = 100;

/** Uploads in parts. Parts are content in the file store with rows of their own, and become one file without being copied. */
export function createUploadsService(dependencies: UploadsServiceDependencies): UploadsService {
  const { repository, files, store, contents, maxUploadBytes, maxPartBytes, logger } = dependencies;
  const rows = createContentWithRow({ store, logger });
  const underWay = new Map<string, { readonly request: string; readonly outcome: Promise<UploadWithFile> }>();

  const get = async (workspaceId: string, id: string): Promise<UploadRow> => {
    const upload = UPLOAD_ID.test(id) ? await repository.get(workspaceId, id) : null;
    if (upload === null) throw noSuchUpload(id);
    return upload;
  };
  /** Parts of attempts whose answer was lost stay until the end: there is room for each of them twice, and not for endless ones. */
  const checkRoom = (upload: UploadRow, others: PartTotals, sizeBytes: number): void => {
    if (others.count >= MAX_PARTS) {
      throw new GatewayError('invalid_request', `The upload has ${MAX_PARTS} parts, the most that one can have.`, {
        param: 'data',
      });
    }
    if (others.sizeBytes + sizeBytes > 2 * upload.sizeBytes + maxPartBytes) {
      throw new GatewayError(
        'payload_too_large',
        `The parts of the upload have more than twice the ${upload.sizeBytes} bytes that it was created for.`,
        { param: 'data' },
      );
    }
  };

  /** What an upload that is no longer pending has to say to a complete: the file, where it was made of the same parts. */
  const completedAlready = async (upload: UploadRow, { partIds, md5 }: CompleteRequest): Promise<UploadWithFile> => {
    if (upload.status !== 'completed' || upload.fileId === null) throw uploadNotPending(upload);
    const [pieces, file] = await Promise.all([files.pieces(upload.id), files.get(upload.workspaceId, upload.fileId)]);
    const same = pieces.length === partIds.length && pieces.every((piece, index) => piece.id === partIds[index]);
    if (file === null || !same || (md5 !== undefined && md5 !== upload.md5)) throw uploadNotPending(upload);
    return { upload, file };
  };

  const makeFile = async (upload: UploadRow, request: CompleteRequest): Promise<UploadWithFile> => {
    const parts = inOrder(request.partIds, await repository.parts(upload.id, request.partIds));
    checkSize(upload, parts);
    const digests = await readThrough(contents, parts, request.md5 !== undefined);
    if (request.md5 !== undefined && digests.md5 !== request.md5) {
      throw new GatewayError('invalid_request', `The parts have the MD5 ${digests.md5 ?? ''}, not the one stated.`, {
        param: 'md5',
      });
    }
    const completion = {
      workspaceId: upload.workspaceId,
      uploadId: upload.id,
      partIds: request.partIds,
      file: { id: newId('file-'), sha256: digests.sha256 },
      md5: request.md5 ?? null,
    };
    // Idempotent: the second says what became of the first.
    const completed = await repository
      .complete(completion)
      .catch(unlessAway)
      .then((made) => made ?? repository.complete(completion).catch(outcomeUnknown));
    await rows.remove(completed.leftOverIds);
    return { upload: completed.upload, file: completed.file };
  };

  const runComplete = async (workspaceId: string, id: string, request: CompleteRequest): Promise<UploadWithFile> => {
    const upload = await get(workspaceId, id);
    if (upload.status !== 'pending') return completedAlready(upload, request);
    try {
      return await makeFile(upload, request);
    } catch (error) {
      // Completed elsewhere, cancelled or expired meanwhile: that is what there is to say, not that parts are gone.
      const now = await get(workspaceId, id).catch(() => null);
      if (now === null || now.status === 'pending') throw error;
      return completedAlready(now, request);
    }
  };

  return {
    maxPartBytes,
    async create(workspaceId, description) {
      const { filename, purpose, sizeBytes } = description;
      if (sizeBytes > maxUploadBytes) {
        throw new GatewayError('payload_too_large', `The upload is over the limit of ${maxUploadBytes} bytes.`, {
          param: 'bytes',
        });
      }
      checkFilename(filename, purpose);
      return repository.create({ ...description, id: newId('upload_'), workspaceId });
    },
    async requirePending(workspaceId, id) {
      const upload = await get(workspaceId, id);
      if (upload.status !== 'pending') throw uploadNotPending(upload);
      checkRoom(upload, await repository.partTotals(id), 1);
      return upload;
    },
    async stagePart(content, signal) {
      const id = newId('part_');
      try {
        return { id, ...(await store.put(id, content, { maxBytes: maxPartBytes, signal })) };
      } catch (error) {
        if (!(error instanceof GatewayError) || error.code !== 'payload_too_large') throw error;
        throw partTooLarge(maxPartBytes);
      }
    },
    async commitPart(upload, staged) {
      if (staged.sizeBytes === 0) {
        await rows.remove([staged.id]);
        throw new GatewayError('invalid_request', 'The part is empty.', { param: 'data' });
      }
      return rows.insert({
        contentId: staged.id,
        insert: () =>
          repository.addPart(upload.workspaceId, { ...staged, uploadId: upload.id }, (others) =>
            checkRoom(upload, others, staged.sizeBytes),
          ),
        find: () => repository.getPart(staged.id),
        whenUnknown: 'The database does not answer. Whether the part was added is not known: send it again.',
      });
    },
    discardPart: (staged) => rows.remove([staged.id]),
    async complete(workspaceId, id, request) {
      const key = JSON.stringify([workspaceId, id]);
      const text = JSON.stringify(request);
      for (let other = underWay.get(key); other !== undefined; other = underWay.get(key)) {
        if (other.request === text) return other.outcome;
        // One pass at a time; what it comes to decides what there is left to do.
        await other.outcome.catch(() => undefined);
      }
      const outcome = runComplete(workspaceId, id, request).finally(() => underWay.delete(key));
      underWay.set(key, { request: text, outcome });
      return outcome;
    },
    async cancel(workspaceId, id) {
      if (!UPLOAD_ID.test(id)) throw noSuchUpload(id);
      const { upload, contentIds } = await repository.cancel(workspaceId, id);
      await rows.remove(contentIds);
      return upload;
    },
    async removeExpired() {
      let removed = 0;
      for (;;) {
        const { count, contentIds } = await repository.expire(EXPIRY_GRACE_MS, EXPIRED_BATCH);
        await rows.remove(contentIds);
        removed += count;
        if (count < EXPIRED_BATCH) return removed;
      }
    },
  };
}

/** 413 for a part over the limit. */
export function partTooLarge(maxPartBytes: number): GatewayError {
  return new GatewayError('payload_too_large', `The part is over the limit of ${maxPartBytes} bytes.`, {
    param: 'data',
  });
}

function inOrder(ids: readonly string[], parts: readonly UploadPartRow[]): readonly UploadPartRow[] {
  const remaining = new Map(parts.map((part) => [part.id, part]));
  return ids.map((id, index) => {
    const part = remaining.get(id);
    const param = `part_ids[${index}]`;
    if (part === undefined) {
      const why = ids.indexOf(id) < index ? 'is named more than once' : 'is not a part of this upload';
      throw new GatewayError('invalid_request', `Invalid value for '${param}': ${id.slice(0, 64)} ${why}.`, { param });
    }
    remaining.delete(id);
    return part;
  });
}

function checkSize(upload: UploadRow, parts: readonly UploadPartRow[]): void {
  const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
  if (sizeBytes === upload.sizeBytes) return;
  throw new GatewayError(
    'invalid_request',
    `The named parts have ${sizeBytes} bytes together, and the upload was created for ${upload.sizeBytes} bytes.`,
    { param: 'part_ids' },
  );
}

/** One pass over all bytes. Each part is checked against its own SHA-256 at its end. */
async function readThrough(
  contents: FileContents,
  parts: readonly UploadPartRow[],
  withMd5: boolean,
): Promise<{ readonly sha256: string; readonly md5: string | undefined }> {
  const sha256 = createHash('sha256');
  const md5 = withMd5 ? createHash('md5') : undefined;
  for (const { id, sizeBytes, sha256: partSha256 } of parts) {
    const content: AsyncIterable<Buffer> = await contents.open({ id, sizeBytes, sha256: partSha256, uploadId: null });
    for await (const chunk of content) {
      sha256.update(chunk);
      md5?.update(chunk);
    }
  }
  return { sha256: sha256.digest('hex'), md5: md5?.digest('hex') };
}

function isDatabaseAway(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'database_unavailable';
}

function unlessAway(error: unknown): null {
  if (isDatabaseAway(error)) return null;
  throw error;
}

function outcomeUnknown(error: unknown): never {
  if (!isDatabaseAway(error)) throw error;
  throw new GatewayError(
    'database_unavailable',
    'The database does not answer. Whether the upload was completed is not known: complete it again with the same part_ids.',
    { cause: error },
  );
}
