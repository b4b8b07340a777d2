import { sql, type Selectable } from 'kysely';
import { GatewayError } from '../domain/errors.js';
import type { JsonObject } from '../domain/json.js';
import type { ProviderName } from '../domain/provider-name.js';
import type { Database } from './database.js';
import type { VirtualKeysTable } from './schema.js';

export type VirtualKeyRow = Selectable<VirtualKeysTable>;

export interface NewVirtualKey {
  readonly id: string;
  readonly workspaceId: string;
  readonly slug: string;
  readonly name: string;
  readonly provider: ProviderName;
  readonly note: string | null;
  readonly sandbox: boolean;
  readonly settings: JsonObject;
  readonly sealedSettings: Buffer;
}

export interface VirtualKeyChange {
  readonly name?: string;
  readonly note?: string | null;
  readonly isDefault?: boolean;
  readonly settings?: JsonObject;
  readonly sealedSettings?: Buffer;
}

export interface VirtualKeyRepository {
  /** Null where the slug is taken in the workspace. */
  insert(key: NewVirtualKey): Promise<VirtualKeyRow | null>;
  get(workspaceId: string, slug: string): Promise<VirtualKeyRow | null>;
  /** One that was deleted too, as long as jobs need it. */
  getById(id: string): Promise<VirtualKeyRow | null>;
  /** Oldest first. */
  list(workspaceId: string): Promise<readonly VirtualKeyRow[]>;
  /**
   * Changes a row under its lock: `change` sees it as it is now. Null where there is none. A key that becomes the default
   * takes that from the one before.
   */
  update(
    workspaceId: string,
    slug: string,
    change: (row: VirtualKeyRow) => VirtualKeyChange,
  ): Promise<VirtualKeyRow | null>;
  /**
   * False where there is none. `virtual_key_in_use` while open jobs use it, unless `force`. What jobs still need is kept for
   * them alone, until `removeDeleted`.
   */
  delete(workspaceId: string, slug: string, options: { readonly force: boolean }): Promise<boolean>;
  /** Removes deleted keys that no job needs any more; answers how many. */
  removeDeleted(): Promise<number>;
}

/**
 * No open job uses the key, and none that ended within a day has left files at the provider: those are deleted after the
 * job's end, with the same credentials.
 */
const unneeded = sql<boolean>`NOT EXISTS (
  SELECT FROM jobs
  WHERE jobs.virtual_key_id = virtual_keys.id
    AND (jobs.status NOT IN ('succeeded', 'failed', 'cancelled')
      OR ((jobs.remote_files <> '{}' OR jobs.upload_attempted_at IS NOT NULL) AND jobs.status <> 'succeeded'
        AND jobs.updated_at > now() - interval '1 day')))`;

/** Virtual keys; their credentials come in and go out sealed. */
export function createVirtualKeyRepository(database: Database): VirtualKeyRepository {
  return {
    async insert({ settings, ...columns }) {
      const row = await database
        .insertInto('virtualKeys')
        .values({ ...columns, settings: JSON.stringify(settings) })
        .onConflict((conflict) => conflict.columns(['workspaceId', 'slug']).where('deletedAt', 'is', null).doNothing())
        .returningAll()
        .executeTakeFirst();
      return row ?? null;
    },
    async get(workspaceId, slug) {
      const row = await database
        .selectFrom('virtualKeys')
        .selectAll()
        .where('workspaceId', '=', workspaceId)
        .where('slug', '=', slug)
        .where('deletedAt', 'is', null)
        .executeTakeFirst();
      return row ?? null;
    },
    async getById(id) {
      return (await database.selectFrom('virtualKeys').selectAll().where('id', '=', id).executeTakeFirst()) ?? null;
    },
    async list(workspaceId) {
      return database
        .selectFrom('virtualKeys')
        .selectAll()
        .where('workspaceId', '=', workspaceId)
        .where('deletedAt', 'is', null)
        .orderBy('createdAt')
        .orderBy('id')
        .execute();
    },
    async update(workspaceId, slug, change) {
      return database.transaction().execute(async (transaction) => {
        const row = await transaction
          .selectFrom('virtualKeys')
          .selectAll()
          .where('workspaceId', '=', workspaceId)
          .where('slug', '=', slug)
          .where('deletedAt', 'is', null)
          .forUpdate()
          .executeTakeFirst();
        if (row === undefined) return null;
        const { settings, ...columns } = change(row);
        if (columns.isDefault === true) {
          await transaction
            .updateTable('virtualKeys')
            .set({ isDefault: false })
            .where('workspaceId', '=', workspaceId)
            .where('id', '!=', row.id)
            .execute();
        }
        return transaction
          .updateTable('virtualKeys')
          .set({
            ...columns,
            ...(settings === undefined ? {} : { settings: JSON.stringify(settings) }),
            updatedAt: sql<Date>`clock_timestamp()`,
          })
          .where('id', '=', row.id)
          .returningAll()
          .executeTakeFirstOrThrow();
      });
    },
    async delete(workspaceId, slug, { force }) {
      return database.transaction().execute(async (transaction) => {
        const row = await transaction
          .selectFrom('virtualKeys')
          .select('id')
          .where('workspaceId', '=', workspaceId)
          .where('slug', '=', slug)
          .where('deletedAt', 'is', null)
          .forUpdate()
          .executeTakeFirst();
        if (row === undefined) return false;
        const { count } = await transaction
          .selectFrom('jobs')
          .select((select) => select.fn.countAll<number>().as('count'))
          .where('virtualKeyId', '=', row.id)
          .where('status', 'not in', ['succeeded', 'failed', 'cancelled'])
          .executeTakeFirstOrThrow();
        if (count > 0 && !force) {
          throw new GatewayError(
            'virtual_key_in_use',
            `The virtual key '${slug}' is used by ${count} open ${count === 1 ? 'job' : 'jobs'}. Cancel or wait for them, or delete with ?force=true: no new job can use it then, and its credentials are kept until ${count === 1 ? 'that one has' : 'those have'} ended.`,
            { param: 'slug' },
          );
        }
        await transaction
          .updateTable('virtualKeys')
          .set({ deletedAt: sql<Date>`clock_timestamp()`, isDefault: false })
          .where('id', '=', row.id)
          .execute();
        await transaction.deleteFrom('virtualKeys').where('id', '=', row.id).where(unneeded).execute();
        return true;
      });
    },
    async removeDeleted() {
      const removed = await database
        .deleteFrom('virtualKeys')
        .where('deletedAt', 'is not', null)
        .where(unneeded)
        .executeTakeFirst();
      return Number(removed.numDeletedRows);
    },
  };
}
