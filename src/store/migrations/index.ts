import { Migrator, type Kysely, type Migration } from 'kysely';
import type { Tables } from '../schema.js';
import * as initial from './0001-initial.js';
import * as uploads from './0002-uploads.js';

/** In order; a released migration is never changed. */
const MIGRATIONS: Readonly<Record<string, Migration>> = {
  '0001-initial': initial,
  '0002-uploads': uploads,
};

/**
 * Brings the database to this release's schema. Safe to run by several processes at once: Kysely holds a lock.
 * Returns the names of the migrations that ran.
 */
export async function migrate(database: Kysely<Tables>): Promise<readonly string[]> {
  const migrator = new Migrator({
    db: database,
    provider: { getMigrations: () => Promise.resolve({ ...MIGRATIONS }) },
  });
  const { error, results } = await migrator.migrateToLatest();
  if (error !== undefined) throw error instanceof Error ? error : new Error('migration failed', { cause: error });
  return (results ?? []).map((result) => result.migrationName);
}
