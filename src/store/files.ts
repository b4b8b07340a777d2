import { sql, type Selectable } from 'kysely';
import { GatewayError } from '../domain/errors.js';
import { keepContent } from './content-rows.js';
import type { Database } from './database.js';
import { effectiveExpiry, notExpired } from './file-expiry.js';
import type { FilesTable } from './schema.js';

/** As read: `expiresAt` is the earlier of the file's own and what the retention of the installation says. */
export type FileRow = Selectable<FilesTable>;

export interface NewFile {
  readonly id: string;
  readonly workspaceId: string;
  readonly filename: string;
  readonly purpose: string;
  readonly sizeBytes: number;
  /** Hex. */
  readonly sha256: string;
  readonly expiresAfterSeconds?: number;
  /** Where the content is the parts of this upload; else it lies under the file's own id. */
  readonly uploadId?: string;
}

/** One piece of a content in the file store. */
export interface ContentPiece {
  readonly id: string;
  readonly sizeBytes: number;
}

export interface FileListQuery {
  readonly purpose?: string | undefined;
  /** Id of the last file of the page before. */
  readonly after?: string | undefined;
  readonly limit: number;
  readonly order: 'asc' | 'desc';
}

export interface FilePage {
  readonly files: readonly FileRow[];
  readonly hasMore: boolean;
}

export interface DeletedFiles {
  readonly count: number;
  /** Ids in the store that no row names any more. */
  readonly contentIds: readonly string[];
}

export interface FileRepository {
  /** Idempotent on the id: a second insert of the same workspace's file answers the row as it is. */
  insert(file: NewFile): Promise<FileRow>;
  /** Null for a file that is unknown, another workspace's, or expired. */
  get(workspaceId: string, id: string): Promise<FileRow | null>;
  /** By creation, ties by id. `after` must name a file of the workspace that is there: `file_not_found` otherwise. */
  list(workspaceId: string, query: FileListQuery): Promise<FilePage>;
  /** For a job that was accepted with the file: also one that has expired since. Null where it is gone. */
  getForJob(id: string): Promise<FileRow | null>;
  /** The parts of an upload that are its file, in order. */
  readonly pieces: (uploadId: string) => Promise<readonly ContentPiece[]>;
  /** Removes the row; null where there is none, else what may be removed in the store. `file_in_use` while an open job needs it. */
  delete(workspaceId: string, id: string): Promise<readonly string[] | null>;
  /** Removes rows past their `expiresAt` that no open job needs, at most `limit`. */
  deleteExpired(limit: number): Promise<DeletedFiles>;
}

const isOpen = sql<boolean>`jobs.status NOT IN ('succeeded', 'failed', 'cancelled')`;
const neededByOpenJob = sql<boolean>`EXISTS (
  SELECT FROM jobs WHERE (jobs.training_file = files.id OR jobs.validation_file = files.id) AND ${isOpen})`;

export interface FileRepositoryOptions {
  /** Files live so many days at most, whatever their own `expires_at`; null, or absent: no such limit. */
  readonly retentionDays?: number | null;
}

/** Files: what is known of them; their content is in the file store, under the id. */
export function createFileRepository(
  database: Database,
  { retentionDays = null }: FileRepositoryOptions = {},
): FileRepository {
  const isThere = notExpired(retentionDays);
  const columns = [
    ...(['id', 'workspaceId', 'filename', 'purpose', 'sizeBytes', 'sha256', 'createdAt', 'uploadId'] as const),
    effectiveExpiry(retentionDays).as('expiresAt'),
  ] as const;
  const select = (id: string) => database.selectFrom('files').select(columns).where('id', '=', id);
  const find = async (workspaceId: string, id: string): Promise<FileRow | null> =>
    (await select(id).where('workspaceId', '=', workspaceId).where(isThere).executeTakeFirst()) ?? null;
  const insertRow = (within: Database, { expiresAfterSeconds, ...values }: NewFile) =>
    within
      .insertInto('files')
      .values({
        ...values,
        expiresAt:
          expiresAfterSeconds === undefined
            ? null
            : sql<Date>`date_trunc('milliseconds', clock_timestamp()) + make_interval(secs => ${expiresAfterSeconds})`,
      })
      .onConflict((conflict) => conflict.column('id').doNothing())
      .returning(columns)
      .executeTakeFirst();
  return {
    async insert(file) {
      const inserted = await inTransaction(database, async (transaction) => {
        await keepContent(transaction, file.id);
        return insertRow(transaction, file);
      });
      const row = inserted ?? (await select(file.id).where('workspaceId', '=', file.workspaceId).executeTakeFirst());
      if (row === undefined) throw new GatewayError('conflict', `The file id ${file.id} is taken.`);
      return row;
    },
    get: find,
    async getForJob(id) {
      return (await select(id).executeTakeFirst()) ?? null;
    },
    async pieces(uploadId) {
      return database
        .selectFrom('uploadParts')
        .select(['id', 'sizeBytes'])
        .where('uploadId', '=', uploadId)
        .where('position', 'is not', null)
        .orderBy('position')
        .execute();
    },
    async list(workspaceId, { purpose, after, limit, order }) {
      const past = order === 'asc' ? ('>' as const) : ('<' as const);
      let query = database
        .selectFrom('files')
        .select(columns)
        .where('workspaceId', '=', workspaceId)
        .where(isThere)
        .orderBy('createdAt', order)
        .orderBy('id', order)
        .limit(limit + 1);
      if (purpose !== undefined) query = query.where('purpose', '=', purpose);
      if (after !== undefined) {
        const cursor = await find(workspaceId, after);
        if (cursor === null) throw noSuchFile(after, 'after');
        query = query.where((where) =>
          where(where.refTuple('createdAt', 'id'), past, where.tuple(cursor.createdAt, cursor.id)),
        );
      }
      const rows = await query.execute();
      return { files: rows.slice(0, limit), hasMore: rows.length > limit };
    },
    async delete(workspaceId, id) {
      return database.transaction().execute(async (transaction) => {
        const row = await transaction
          .selectFrom('files')
          .select(['id', 'uploadId'])
          .where('id', '=', id)
          .where('workspaceId', '=', workspaceId)
          .forUpdate()
          .executeTakeFirst();
        if (row === undefined) return null;
        const job = await transaction
          .selectFrom('jobs')
          .select('id')
          .where((where) => where.or([where('trainingFile', '=', id), where('validationFile', '=', id)]))
          .where(isOpen)
          .limit(1)
          .executeTakeFirst();
        if (job !== undefined) {
          throw new GatewayError(
            'file_in_use',
            `The file ${id} is needed by the job ${job.id}, which has not ended. Cancel the job or wait for it.`,
            {
              param: 'id',
            },
          );
        }
        return deleteRows(transaction, [row]);
      });
    },
    async deleteExpired(limit) {
      return database.transaction().execute(async (transaction) => {
        const locked = await transaction
          .selectFrom('files')
          .select(['id', 'uploadId'])
          .where(sql<boolean>`${effectiveExpiry(retentionDays)} <= now()`)
          .where(sql<boolean>`NOT ${neededByOpenJob}`)
          .limit(limit)
          .forUpdate()
          .skipLocked()
          .execute();
        if (locked.length === 0) return { count: 0, contentIds: [] };
        // Asked again: a job that was committed before its file was locked may have come after the question above. From
        // here on a new one waits for us.
        const expired = await transaction
          .selectFrom('files')
          .select(['id', 'uploadId'])
          .where(
            'id',
            'in',
            locked.map(({ id }) => id),
          )
          .where(sql<boolean>`NOT ${neededByOpenJob}`)
          .execute();
        return { count: expired.length, contentIds: await deleteRows(transaction, expired) };
      });
    },
  };
}

/** The caller's transaction where there is one. */
function inTransaction<Result>(
  database: Database,
  action: (transaction: Database) => Promise<Result>,
): Promise<Result> {
  return database.isTransaction ? action(database) : database.transaction().execute(action);
}

/** Removes files and the parts they are made of; answers where their content was. */
async function deleteRows(
  transaction: Database,
  files: readonly Pick<FileRow, 'id' | 'uploadId'>[],
): Promise<readonly string[]> {
  if (files.length === 0) return [];
  const uploadIds = files.flatMap(({ uploadId }) => uploadId ?? []);
  const parts =
    uploadIds.length === 0
      ? []
      : await transaction.deleteFrom('uploadParts').where('uploadId', 'in', uploadIds).returning('id').execute();
  const ids = files.map(({ id }) => id);
  await transaction.deleteFrom('files').where('id', 'in', ids).execute();
  return [...files.flatMap(({ id, uploadId }) => (uploadId === null ? id : [])), ...parts.map(({ id }) => id)];
}

/** 404 for a file that the workspace does not have, in OpenAI's words. */
export function noSuchFile(id: string, param = 'id'): GatewayError {
  return new GatewayError('file_not_found', `No such File object: ${id}`, { param });
}
