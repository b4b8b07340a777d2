import type { Database } from './database.js';

/** Facts about this installation, each written once. */
export interface InstallationRepository {
  /** Writes the fact where there is none, and answers what is written. */
  claim(key: 'master_key_id', value: string): Promise<string>;
}

export function createInstallationRepository(database: Database): InstallationRepository {
  return {
    async claim(key, value) {
      await database
        .insertInto('installation')
        .values({ key, value })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .execute();
      const row = await database
        .selectFrom('installation')
        .select('value')
        .where('key', '=', key)
        .executeTakeFirstOrThrow();
      return row.value;
    },
  };
}
