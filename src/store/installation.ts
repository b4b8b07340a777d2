import type { Database } from './database.js';

/** `master_key_id`: of the key that seals the secrets. `file_store_id`: the owner mark of the file store. */
export type InstallationFact = 'master_key_id' | 'file_store_id';

/** Facts about this installation, each written once. */
export interface InstallationRepository {
  /** Writes the fact where there is none, and answers what is written. */
  claim(key: InstallationFact, value: string): Promise<string>;
  /** Null where it is not written. */
  find(key: InstallationFact): Promise<string | null>;
}

export function createInstallationRepository(database: Database): InstallationRepository {
  const select = (key: InstallationFact) => database.selectFrom('installation').select('value').where('key', '=', key);
  return {
    async find(key) {
      return (await select(key).executeTakeFirst())?.value ?? null;
    },
    async claim(key, value) {
      await database
        .insertInto('installation')
        .values({ key, value })
        .onConflict((conflict) => conflict.column('key').doNothing())
        .execute();
      return (await select(key).executeTakeFirstOrThrow()).value;
    },
  };
}
