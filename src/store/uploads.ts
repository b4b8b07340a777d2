import { sql, type Selectable } from 'kysely';
import { GatewayError } from '../domain/errors.js';
import { keepContent } from './content-rows.js';
import type { Database } from './database.js';
import { createFileRepository, type FileRepositoryOptions, type FileRow, type NewFile } from './files.js';
import type { UploadPartsTable, UploadsTable } from './schema.js';

/** As it is now: a pending upload whose time is over has the status `expired`, whether that was written or not. */
export type UploadRow = Selectable<UploadsTable>;
export type UploadPartRow = Selectable<UploadPartsTable>;

export interface NewUpload {
  readonly id: string;
  readonly workspaceId: string;
  readonly filename: string;
  readonly purpose: string;
  readonly mimeType: string;
  readonly sizeBytes: number;
  readonly expiresAfterSeconds?: number;
}

export interface NewUploadPart {
  readonly id: string;
  readonly uploadId: string;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
}

export interface PartTotals {
  readonly sizeBytes: number;
  readonly count: number;
}

export interface Completion {
  readonly workspaceId: string;
  readonly uploadId: string;
  /** In the order of the file. */
  readonly partIds: readonly string[];
  readonly file: Pick<NewFile, 'id' | 'sha256'>;
  /** Hex, where the caller stated it. */
  readonly md5: string | null;
}

export interface CompletedUpload {
  readonly upload: UploadRow;
  readonly file: FileRow;
  /** Parts that are not in the file: their rows are gone, their content may go. */
  readonly leftOverIds: readonly string[];
}

export interface EndedUploads {
  readonly count: number;
  /** Ids in the store that no row names any more. */
  readonly contentIds: readonly string[];
}

export interface UploadRepository {
  /** Pending, for an hour. */
  create(upload: NewUpload): Promise<UploadRow>;
  /** Null for an upload that is unknown or another workspace's. */
  get(workspaceId: string, id: string): Promise<UploadRow | null>;
  /**
   * Idempotent on the part's id. `check` sees what the other parts have together, and no other part is added meanwhile.
   * `upload_not_found`, `upload_not_pending`, and what `check` throws.
   */
  addPart(workspaceId: string, part: NewUploadPart, check: (others: PartTotals) => void): Promise<UploadPartRow>;
  getPart(id: string): Promise<UploadPartRow | null>;
  partTotals(uploadId: string): Promise<PartTotals>;
  /** Those of the given ids that are parts of the upload, in no order. */
  parts(uploadId: string, ids: readonly string[]): Promise<readonly UploadPartRow[]>;
  /**
   * Makes the file of it, all or nothing. Idempotent on the file's id. An upload that ran out of time while its parts were read
   * is completed still, as long as `expire` has not ended it. `upload_not_found`, `upload_not_pending`.
   */
  complete(completion: Completion): Promise<CompletedUpload>;
  /** A cancelled upload stays as it is. `upload_not_found`, `upload_not_pending`. */
  cancel(
    workspaceId: string,
    id: string,
  ): Promise<{ readonly upload: UploadRow; readonly contentIds: readonly string[] }>;
  /** Ends pending uploads whose time has been over for so long, at most `limit`. */
  expire(overForMs: number, limit: number): Promise<EndedUploads>;
}

const isOver = sql<boolean>`(expires_at <= clock_timestamp())`.as('isOver');

/** Uploads and their parts; what the parts hold is in the file store, under the part's id. The options are those of the files. */
export function createUploadRepository(database: Database, options: FileRepositoryOptions = {}): UploadRepository {
  const find = async (workspaceId: string, id: string): Promise<UploadRow | null> => {
    const row = await database
      .selectFrom('uploads')
      .selectAll()
      .select(isOver)
      .where('id', '=', id)
      .where('workspaceId', '=', workspaceId)
      .executeTakeFirst();
    return row === undefined ? null : asOfNow(row);
  };
  const getPart = async (id: string): Promise<UploadPartRow | null> =>
    (await database.selectFrom('uploadParts').selectAll().where('id', '=', id).executeTakeFirst()) ?? null;

  return {
    async create({ expiresAfterSeconds, ...columns }) {
      return database
        .insertInto('uploads')
        .values({
          ...columns,
          expiresAfterSeconds: expiresAfterSeconds ?? null,
          // One reading of the clock for both, so that they are an hour apart in whole seconds too.
          createdAt: sql<Date>`date_trunc('milliseconds', now())`,
          expiresAt: sql<Date>`date_trunc('milliseconds', now()) + interval '1 hour'`,
        })
        .returningAll()
        .executeTakeFirstOrThrow();
    },
    get: find,
    getPart,
    partTotals: (uploadId) => partTotals(database, uploadId),
    async addPart(workspaceId, part, check) {
      return database.transaction().execute(async (transaction) => {
        await keepContent(transaction, part.id);
        const { upload } = await lock(transaction, workspaceId, part.uploadId);
        const known = await createUploadRepository(transaction).getPart(part.id);
        if (known !== null) return known;
        if (upload.status !== 'pending') throw uploadNotPending(upload);
        check(await partTotals(transaction, part.uploadId));
        return transaction.insertInto('uploadParts').values(part).returningAll().executeTakeFirstOrThrow();
      });
    },
    async parts(uploadId, ids) {
      return database
        .selectFrom('uploadParts')
        .selectAll()
        .where('uploadId', '=', uploadId)
        .where(sql<boolean>`id = ANY(${ids})`)
        .execute();
    },
    async complete({ workspaceId, uploadId, partIds, file, md5 }) {
      return database.transaction().execute(async (transaction) => {
        const { upload, written } = await lock(transaction, workspaceId, uploadId);
        const files = createFileRepository(transaction, options);
        if (written === 'completed' && upload.fileId === file.id) {
          const made = await files.get(workspaceId, file.id);
          if (made !== null) return { upload, file: made, leftOverIds: [] };
        }
        if (written !== 'pending') throw uploadNotPending(upload);
        const made = await files.insert({
          ...file,
          workspaceId,
          filename: upload.filename,
          purpose: upload.purpose,
          sizeBytes: upload.sizeBytes,
          uploadId,
          ...(upload.expiresAfterSeconds === null ? {} : { expiresAfterSeconds: upload.expiresAfterSeconds }),
        });
        await placeParts(transaction, uploadId, partIds);
        const leftOver = await transaction
          .deleteFrom('uploadParts')
          .where('uploadId', '=', uploadId)
          .where('position', 'is', null)
          .returning('id')
          .execute();
        const completed = await transaction
          .updateTable('uploads')
          .set({ status: 'completed', fileId: file.id, md5 })
          .where('id', '=', uploadId)
          .returningAll()
          .executeTakeFirstOrThrow();
        return { upload: completed, file: made, leftOverIds: leftOver.map(({ id }) => id) };
      });
    },
    async cancel(workspaceId, id) {
      return database.transaction().execute(async (transaction) => {
        const { upload } = await lock(transaction, workspaceId, id);
        if (upload.status === 'cancelled') return { upload, contentIds: [] };
        if (upload.status !== 'pending') throw uploadNotPending(upload);
        const contentIds = await deleteParts(transaction, [id]);
        const cancelled = await transaction
          .updateTable('uploads')
          .set({ status: 'cancelled' })
          .where('id', '=', id)
          .returningAll()
          .executeTakeFirstOrThrow();
        return { upload: cancelled, contentIds };
      });
    },
    async expire(overForMs, limit) {
      return database.transaction().execute(async (transaction) => {
        const over = await transaction
          .selectFrom('uploads')
          .select('id')
          .where('status', '=', 'pending')
          .where('expiresAt', '<=', sql<Date>`now() - make_interval(secs => ${overForMs / 1_000})`)
          .limit(limit)
          .forUpdate()
          .skipLocked()
          .execute();
        if (over.length === 0) return { count: 0, contentIds: [] };
        const ids = over.map(({ id }) => id);
        await transaction.updateTable('uploads').set({ status: 'expired' }).where('id', 'in', ids).execute();
        return { count: ids.length, contentIds: await deleteParts(transaction, ids) };
      });
    },
  };
}

/** Nothing else changes the upload, or gives it parts, until the transaction ends. */
async function lock(
  transaction: Database,
  workspaceId: string,
  id: string,
): Promise<{ readonly upload: UploadRow; readonly written: UploadRow['status'] }> {
  const row = await transaction
    .selectFrom('uploads')
    .selectAll()
    .select(isOver)
    .where('id', '=', id)
    .where('workspaceId', '=', workspaceId)
    .forUpdate()
    .executeTakeFirst();
  if (row === undefined) throw noSuchUpload(id);
  return { upload: asOfNow(row), written: row.status };
}

function asOfNow({ isOver: over, ...row }: UploadRow & { readonly isOver: boolean }): UploadRow {
  return row.status === 'pending' && over ? { ...row, status: 'expired' } : row;
}

async function partTotals(database: Database, uploadId: string): Promise<PartTotals> {
  return database
    .selectFrom('uploadParts')
    .select([
      // A sum of bigint is numeric, which pg gives as text.
      sql<number>`coalesce(sum(size_bytes), 0)::bigint`.as('sizeBytes'),
      sql<number>`count(*)::int`.as('count'),
    ])
    .where('uploadId', '=', uploadId)
    .executeTakeFirstOrThrow();
}

async function placeParts(transaction: Database, uploadId: string, partIds: readonly string[]): Promise<void> {
  const placed = await sql`
    UPDATE upload_parts SET position = named.position - 1
    FROM unnest(${partIds}::text[]) WITH ORDINALITY AS named (id, position)
    WHERE upload_parts.id = named.id AND upload_parts.upload_id = ${uploadId}`.execute(transaction);
  // While an upload is pending its parts stay.
  if (placed.numAffectedRows !== BigInt(partIds.length)) throw new Error(`a part of ${uploadId} is gone`);
}

async function deleteParts(transaction: Database, uploadIds: readonly string[]): Promise<readonly string[]> {
  const parts = await transaction
    .deleteFrom('uploadParts')
    .where('uploadId', 'in', uploadIds)
    .returning('id')
    .execute();
  return parts.map(({ id }) => id);
}

/** 404 for an upload that the workspace does not have, in the words that OpenAI has for files. */
export function noSuchUpload(id: string): GatewayError {
  return new GatewayError('upload_not_found', `No such Upload object: ${id}`, { param: 'upload_id' });
}

/** 400 for what only a pending upload can do. */
export function uploadNotPending({ id, status }: Pick<UploadRow, 'id' | 'status'>): GatewayError {
  return new GatewayError(
    'upload_not_pending',
    `The upload ${id} is ${status}; only a pending upload can be changed.`,
    {
      param: 'upload_id',
    },
  );
}
