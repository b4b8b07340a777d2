import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import type { TestProject } from 'vitest/node';
import { createDatabase } from '../../src/store/database.js';
import { startEmbeddedPostgres } from '../../src/store/embedded.js';
import { migrate } from '../../src/store/migrations/index.js';

declare module 'vitest' {
  interface ProvidedContext {
    /** Superuser address of the run's PostgreSQL; tests use `createTestDatabase`. */
    testPostgresUrl: string;
    /** Name of a migrated database that no test writes to. */
    testDatabaseTemplate: string;
  }
}

const TEMPLATE = 'tunesmith_template';

/** One PostgreSQL for the whole run, with a migrated template that each test database is copied from. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  const home = await mkdtemp(join(tmpdir(), 'tunesmith-test-postgres-'));
  // Run by root, PostgreSQL is another user and must be able to enter.
  await chmod(home, 0o755);
  const messages: string[] = [];
  const postgres = await startEmbeddedPostgres({ home, log: (message) => messages.push(message) }).catch(
    (error: unknown) => {
      throw new Error(`PostgreSQL for the tests did not start:\n${messages.join('\n')}`, { cause: error });
    },
  );
  try {
    await makeTemplate(postgres.databaseUrl);
  } catch (error) {
    await postgres.stop();
    throw error;
  }
  project.provide('testPostgresUrl', postgres.databaseUrl);
  project.provide('testDatabaseTemplate', TEMPLATE);
  return async () => {
    await postgres.stop();
    await rm(home, { recursive: true, force: true });
  };
}

async function makeTemplate(postgresUrl: string): Promise<void> {
  const client = new pg.Client({ connectionString: postgresUrl });
  await client.connect();
  try {
    await client.query(`CREATE DATABASE ${TEMPLATE}`);
  } finally {
    await client.end();
  }
  const url = new URL(postgresUrl);
  url.pathname = `/${TEMPLATE}`;
  const database = createDatabase({ databaseUrl: url.toString(), applicationName: 'test-template' });
  try {
    await migrate(database);
  } finally {
    await database.destroy();
  }
}
