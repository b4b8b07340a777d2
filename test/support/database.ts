import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { inject } from 'vitest';
import { createDatabase, type Database } from '../../src/store/database.js';

export interface TestDatabase {
  readonly database: Database;
  readonly url: string;
  /** Closes `database` and removes it from the server. */
  drop(): Promise<void>;
}

/** A fresh, migrated database on the run's PostgreSQL (`global-setup.ts`). */
export async function createTestDatabase(options: { readonly maxConnections?: number } = {}): Promise<TestDatabase> {
  const postgresUrl = inject('testPostgresUrl');
  const name = `test_${randomBytes(8).toString('hex')}`;
  await administer(postgresUrl, `CREATE DATABASE ${name} TEMPLATE ${inject('testDatabaseTemplate')}`);
  const url = new URL(postgresUrl);
  url.pathname = `/${name}`;
  const database = createDatabase({ databaseUrl: url.toString(), applicationName: 'test', ...options });
  return {
    database,
    url: url.toString(),
    async drop() {
      await database.destroy();
      await administer(postgresUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

const TEMPLATE_BUSY = '55006';
const ATTEMPTS = 20;

/** Copying a template fails while another test file copies it; the server has no wait for that. */
async function administer(postgresUrl: string, statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: postgresUrl });
  await client.connect();
  try {
    await client.query('SELECT pg_advisory_lock(78112)');
    for (let attempt = 1; ; attempt += 1) {
      try {
        await client.query(statement);
        return;
      } catch (error) {
        const busy = error instanceof Error && 'code' in error && error.code === TEMPLATE_BUSY;
        if (!busy || attempt === ATTEMPTS) throw error;
      }
    }
  } finally {
    await client.end();
  }
}
