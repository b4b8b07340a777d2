import type { Selectable } from 'kysely';
import type { Database } from './database.js';
import type { ApiKeysTable } from './schema.js';

export type ApiKeyRow = Selectable<ApiKeysTable>;

export interface ApiKeyRepository {
  /** The key with this hash, unless it was revoked. */
  findActive(keyHash: Buffer): Promise<ApiKeyRow | null>;
  /** Makes the row, or, where the hash is known already, leaves it as it is (revoked stays revoked). */
  ensure(key: {
    readonly id: string;
    readonly workspaceId: string;
    readonly name: string;
    readonly keyHash: Buffer;
  }): Promise<void>;
  /** False where there is no such active key. */
  revoke(workspaceId: string, id: string): Promise<boolean>;
}

/** Gateway keys by their hash; the keys themselves are kept nowhere. */
export function createApiKeyRepository(database: Database): ApiKeyRepository {
  return {
    async findActive(keyHash) {
      const row = await database
        .selectFrom('apiKeys')
        .selectAll()
        .where('keyHash', '=', keyHash)
        .where('revokedAt', 'is', null)
        .executeTakeFirst();
      return row ?? null;
    },
    async ensure(key) {
      await database
        .insertInto('apiKeys')
        .values({ ...key, revokedAt: null })
        .onConflict((conflict) => conflict.column('keyHash').doNothing())
        .execute();
    },
    async revoke(workspaceId, id) {
      const result = await database
        .updateTable('apiKeys')
        .set({ revokedAt: new Date() })
        .where('workspaceId', '=', workspaceId)
        .where('id', '=', id)
        .where('revokedAt', 'is', null)
        .executeTakeFirst();
      return result.numUpdatedRows > 0n;
    },
  };
}
