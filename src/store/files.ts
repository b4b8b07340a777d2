import { sql, type Selectable } from 'kysely';
import { GatewayError } from '../domain/errors.js';
import type { Database } from './database.js';
import type { FilesTable } from './schema.js';

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

export interface FileRepository {
  /** Idempotent on the id: a second insert of the same workspace's file answers the row as it is. */
  insert(file: NewFile): Promise<FileRow>;
  /** Null for a file that is unknown, another workspace's, or expired. */
  get(workspaceId: string, id: string): Promise<FileRow | null>;
  /** By creation, ties by id. `after` must name a file of the workspace that is there: `file_not_found` otherwise. */
  list(workspaceId: string, query: FileListQuery): Promise<FilePage>;
  /** Removes the row; false where there is none. `file_in_use` while an open job needs it. */
  delete(workspaceId: string, id: string): Promise<boolean>;
  /** Removes rows past their `expires_at` that no open job needs, at most `limit`; answers their ids. */
  deleteExpired(limit: number): Promise<readonly string[]>;
}

const isOpen = sql<boolean>`jobs.status NOT IN ('succeeded', 'failed', 'cancelled')`;
const notExpired = sql<boolean>`(files.expires_at IS NULL OR files.expires_at > now())`;

/** Files: what is known of them; their content is in the file store, under the id. */
export function createFileRepository(database: Database): FileRepository {
  const find = async (workspaceId: string, id: string): Promise<FileRow | null> => {
    const row = await database
      .selectFrom('files')
      .selectAll()
      .where('id', '=', id)
      .where('workspaceId', '=', workspaceId)
      .where(notExpired)
      .executeTakeFirst();
    return row ?? null;
  };
  return {
    async insert(file) {
      const { expiresAfterSeconds, ...columns } = file;
      const inserted = await database
        .insertInto('files')
        .values({
          ...columns,
          expiresAt:
            expiresAfterSeconds === undefined
              ? null
              : sql<Date>`date_trunc('milliseconds', clock_timestamp()) + make_interval(secs => ${expiresAfterSeconds})`,
        })
        .onConflict((conflict) => conflict.column('id').doNothing())
        .returningAll()
        .executeTakeFirst();
      const row = inserted ?? (await find(file.workspaceId, file.id));
      if (row === null) throw new GatewayError('conflict', `The file id ${file.id} is taken.`);
      return row;
    },
    get: find,
    async list(workspaceId, { purpose, after, limit, order }) {
      const past = order === 'asc' ? ('>' as const) : ('<' as const);
      let query = database
        .selectFrom('files')
        .selectAll()
        .where('workspaceId', '=', workspaceId)
        .where(notExpired)
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
          .select('id')
          .where('id', '=', id)
          .where('workspaceId', '=', workspaceId)
          .forUpdate()
          .executeTakeFirst();
        if (row === undefined) return false;
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
        await transaction.deleteFrom('files').where('id', '=', id).execute();
        return true;
      });
    },
    async deleteExpired(limit) {
      return database.transaction().execute(async (transaction) => {
        const expired = await transaction
          .selectFrom('files')
          .select('id')
          .where('expiresAt', '<=', sql<Date>`now()`)
          .where((where) =>
            where.not(
              where.exists(
                where
                  .selectFrom('jobs')
                  .select('jobs.id')
                  .where((inner) =>
                    inner.or([
                      inner('jobs.trainingFile', '=', inner.ref('files.id')),
                      inner('jobs.validationFile', '=', inner.ref('files.id')),
                    ]),
                  )
                  .where(isOpen),
              ),
            ),
          )
          .limit(limit)
          .forUpdate()
          .skipLocked()
          .execute();
        const ids = expired.map((row) => row.id);
        if (ids.length > 0) await transaction.deleteFrom('files').where('id', 'in', ids).execute();
        return ids;
      });
    },
  };
}

/** 404 for a file that the workspace does not have, in OpenAI's words. */
export function noSuchFile(id: string, param = 'id'): GatewayError {
  return new GatewayError('file_not_found', `No such File object: ${id}`, { param });
}
