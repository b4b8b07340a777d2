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
  /** False where there is none. `virtual_key_in_use` while open jobs use it, unless `force`. */
  delete(workspaceId: string, slug: string, options: { readonly force: boolean }): Promise<boolean>;
}

/** Virtual keys; their credentials come in and go out sealed. */
export function createVirtualKeyRepository(database: Database): VirtualKeyRepository {
  return {
    async insert({ settings, ...columns }) {
      const row = await database
        .insertInto('virtualKeys')
        .values({ ...columns, settings: JSON.stringify(settings) })
        .onConflict((conflict) => conflict.columns(['workspaceId', 'slug']).doNothing())
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
            `The virtual key '${slug}' is used by ${count} open ${count === 1 ? 'job' : 'jobs'}. Cancel or wait for them, or delete with ?force=true; they cannot be observed after that.`,
            { param: 'slug' },
          );
        }
        await transaction.deleteFrom('virtualKeys').where('id', '=', row.id).execute();
        return true;
      });
    },
  };
}
