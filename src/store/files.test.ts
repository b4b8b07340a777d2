import { randomBytes } from 'node:crypto';
import { sql } from 'kysely';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { acceptedState } from '../domain/job.js';
import { createDatabase, type Database } from './database.js';
import { createFileRepository, type FileRow } from './files.js';
import { createJobsRepository, type NewJob } from './jobs.js';
import { newJobId } from './new-id.js';
import { createWorkspaceRepository } from './workspaces.js';

const WORKSPACE = 'ws_test';
const DAY_MS = 24 * 60 * 60 * 1_000;
let testDatabase: TestDatabase;
let database: Database;

beforeAll(async () => {
  testDatabase = await createTestDatabase({ maxConnections: 20 });
  database = testDatabase.database;
  await createWorkspaceRepository(database).ensure({ id: WORKSPACE, name: 'test' });
  await database
    .insertInto('virtualKeys')
    .values({
      id: 'vk_test',
      workspaceId: WORKSPACE,
      slug: 'test',
      name: 'test',
      provider: 'openai',
      note: null,
      settings: '{}',
      sealedSettings: Buffer.alloc(1),
    })
    .execute();
});
afterAll(() => testDatabase.drop());
beforeEach(async () => {
  await database.deleteFrom('jobEvents').execute();
  await database.deleteFrom('jobs').execute();
  await database.deleteFrom('files').execute();
});

interface NewTestFile {
  readonly ageDays?: number;
  readonly expiresAfterSeconds?: number;
  readonly purpose?: string;
}

async function addFile({ ageDays = 0, expiresAfterSeconds, purpose = 'fine-tune' }: NewTestFile = {}): Promise<string> {
  const id = `file-${randomBytes(8).toString('hex')}`;
  const file = { id, workspaceId: WORKSPACE, filename: 'a.jsonl', purpose, sizeBytes: 1, sha256: '00' };
  await createFileRepository(database).insert({
    ...file,
    ...(expiresAfterSeconds === undefined ? {} : { expiresAfterSeconds }),
  });
  await database
    .updateTable('files')
    .set({
      createdAt: sql`created_at - make_interval(secs => ${ageDays * 86_400})`,
      expiresAt: sql`expires_at - make_interval(secs => ${ageDays * 86_400})`,
    })
    .where('id', '=', id)
    .execute();
  return id;
}

function newJob(trainingFile: string, validationFile?: string): NewJob {
  const id = newJobId();
  return {
    id,
    workspaceId: WORKSPACE,
    apiKeyId: 'key_test',
    provider: 'openai',
    virtualKeyId: 'vk_test',
    virtualKeySlug: 'test',
    sandbox: false,
    request: {
      model: 'gpt-4o-mini-2024-07-18',
      trainingFile,
      ...(validationFile === undefined ? {} : { validationFile }),
      seed: 1,
      method: { type: 'supervised', hyperparameters: {} },
    },
    requestHash: id,
    idempotencyKey: null,
    sealedOptions: null,
  };
}

const insertJob = (job: NewJob, on = createJobsRepository(database)) =>
  on.insert(job, {
    sameWithinMs: null,
    state: acceptedState(),
    firstEvent: { sourceId: 'gateway:created', level: 'info', type: 'message', message: 'Created', data: {} },
    stillWanted: () => true,
  });

const expiryDays = ({ createdAt, expiresAt }: FileRow): number | null =>
  expiresAt === null ? null : (expiresAt.getTime() - createdAt.getTime()) / DAY_MS;

describe('retention of files', () => {
  const files = (retentionDays: number | null = null) => createFileRepository(database, { retentionDays });

  test('is no limit where none is set', async () => {
    const id = await addFile({ ageDays: 5_000 });
    expect(await files().get(WORKSPACE, id)).toMatchObject({ id, expiresAt: null });
    expect(await files().deleteExpired(10)).toEqual({ count: 0, contentIds: [] });
  });

  test('gives every answer the earlier of its end and the file’s own', async () => {
    const plain = await addFile();
    const sooner = await addFile({ expiresAfterSeconds: 86_400 });
    const later = await addFile({ expiresAfterSeconds: 20 * 86_400 });
    const expected = { [plain]: 10, [sooner]: 1, [later]: 10 };
    const repository = files(10);
    const { files: listed } = await repository.list(WORKSPACE, { limit: 10, order: 'asc' });
    expect(listed).toHaveLength(3);
    for (const row of listed) {
      expect(expiryDays(row)).toBeCloseTo(expected[row.id]!, 5);
      expect(await repository.get(WORKSPACE, row.id)).toEqual(row);
      expect(await repository.getForJob(row.id)).toEqual(row);
    }
    const fresh = await repository.insert({
      id: 'file-fresh',
      workspaceId: WORKSPACE,
      filename: 'a',
      purpose: 'user_data',
      sizeBytes: 1,
      sha256: '00',
    });
    expect(expiryDays(fresh)).toBe(10);
  });

  test('hides a file that is past it at once, except from the job that was accepted with it', async () => {
    const id = await addFile({ ageDays: 11 });
    expect(await files(12).get(WORKSPACE, id)).not.toBeNull();
    const repository = files(10);
    expect(await repository.get(WORKSPACE, id)).toBeNull();
    expect((await repository.list(WORKSPACE, { limit: 10, order: 'asc' })).files).toEqual([]);
    await expect(repository.list(WORKSPACE, { limit: 10, order: 'asc', after: id })).rejects.toMatchObject({
      code: 'file_not_found',
    });
    expect(await repository.getForJob(id)).toMatchObject({ id });
  });

  test('removes what is past it, results too, and nothing else', async () => {
    const old = await addFile({ ageDays: 11 });
    const result = await addFile({ ageDays: 11, purpose: 'fine-tune-results' });
    const own = await addFile({ ageDays: 2, expiresAfterSeconds: 86_400 });
    const young = await addFile({ ageDays: 9 });
    const { count, contentIds } = await files(10).deleteExpired(10);
    expect([count, new Set(contentIds)]).toEqual([3, new Set([old, result, own])]);
    expect((await database.selectFrom('files').select('id').execute()).map(({ id }) => id)).toEqual([young]);
  });

  test('may be part of a day', async () => {
    const id = await addFile({ ageDays: 0.6 });
    expect(await files(0.7).get(WORKSPACE, id)).not.toBeNull();
    expect(await files(0.5).get(WORKSPACE, id)).toBeNull();
  });

  test('removes no file that an open job needs, and does once the job has ended', async () => {
    const [training, validation] = [await addFile(), await addFile()];
    const job = newJob(training, validation);
    await insertJob(job);
    await database
      .updateTable('files')
      .set({ createdAt: new Date(0) })
      .execute();
    expect((await files(10).deleteExpired(10)).count).toBe(0);
    await database.updateTable('jobs').set({ status: 'failed' }).where('id', '=', job.id).execute();
    expect(new Set((await files(10).deleteExpired(10)).contentIds)).toEqual(new Set([training, validation]));
  });

  test('refuses a new job with a file that is past it', async () => {
    const id = await addFile({ ageDays: 11 });
    const refused = { code: 'invalid_training_file', param: 'training_file' };
    const jobs = createJobsRepository(database, { fileRetentionDays: 10 });
    await expect(insertJob(newJob(id), jobs)).rejects.toMatchObject(refused);
    await expect(jobs.requireFiles(WORKSPACE, { trainingFile: id })).rejects.toMatchObject(refused);
    expect(await insertJob(newJob(id))).toMatchObject({ outcome: 'created' });
  });

  test('does not stop a retried insert of a row that is past it already', async () => {
    const id = await addFile({ ageDays: 11, purpose: 'fine-tune-results' });
    const again = {
      id,
      workspaceId: WORKSPACE,
      filename: 'a',
      purpose: 'fine-tune-results',
      sizeBytes: 1,
      sha256: '00',
    };
    expect(await files(10).insert(again)).toMatchObject({ id });
    await expect(files(10).insert({ ...again, workspaceId: 'ws_other' })).rejects.toMatchObject({ code: 'conflict' });
  });
});

describe('a job and the removal of its file at the same moment', () => {
  const files = () => createFileRepository(database);

  test('cannot both succeed', async () => {
    for (let round = 0; round < 40; round += 1) {
      const id = await addFile();
      const [made, removed] = await Promise.all([
        insertJob(newJob(id)).then(
          () => true,
          () => false,
        ),
        files()
          .delete(WORKSPACE, id)
          .then(
            (ids) => ids !== null,
            () => false,
          ),
      ]);
      expect(made).toBe(!removed);
      expect((await files().get(WORKSPACE, id)) !== null).toBe(made);
    }
  });

  test('is decided for the job that has locked its file first', async () => {
    const id = await addFile();
    const events = await hold((held) => sql`LOCK TABLE job_events IN EXCLUSIVE MODE`.execute(held));
    const job = insertJob(newJob(id));
    await whenWaiting(1);
    const removal = expect(files().delete(WORKSPACE, id)).rejects.toMatchObject({ code: 'file_in_use' });
    await whenWaiting(2);
    await events.release();
    await Promise.all([job, removal]);
    expect(await files().get(WORKSPACE, id)).not.toBeNull();
  });

  test('is decided for the removal that has locked the file first', async () => {
    const id = await addFile();
    const removal = await hold((held) => held.deleteFrom('files').where('id', '=', id).execute());
    const job = expect(insertJob(newJob(id))).rejects.toMatchObject({ code: 'invalid_training_file' });
    await whenWaiting(1);
    await removal.release();
    await job;
  });

  test('is decided for a job that began before its file expired, though the removal looked before the job was there', async () => {
    await pauseReadersOfFiles();
    const removing = createDatabase({
      databaseUrl: `${testDatabase.url}?options=${encodeURIComponent('-c test.pause=on')}`,
      applicationName: 'test',
    });
    try {
      const id = await addFile();
      await database
        .updateTable('files')
        .set({ expiresAt: sql<Date>`clock_timestamp() + interval '700 milliseconds'` })
        .where('id', '=', id)
        .execute();
      const job = newJob(id);
      const lockKey = JSON.stringify([WORKSPACE, job.requestHash]);
      const create = await hold((held) =>
        sql`SELECT pg_advisory_xact_lock(hashtextextended(${lockKey}, 0))`.execute(held),
      );
      const made = insertJob(job);
      await whenWaiting(1);
      await expect
        .poll(
          () =>
            sql`SELECT FROM files WHERE id = ${id} AND expires_at < clock_timestamp()`
              .execute(database)
              .then(({ rows }) => rows.length),
          { timeout: 10_000 },
        )
        .toBe(1);
      const pause = await hold((held) => sql`SELECT pg_advisory_xact_lock(${PAUSE_LOCK})`.execute(held));
      const removed = createFileRepository(removing).deleteExpired(10);
      await whenWaiting(2);
      await create.release();
      expect(await made).toMatchObject({ outcome: 'created' });
      await pause.release();
      expect(await removed).toEqual({ count: 0, contentIds: [] });
      expect(await files().getForJob(id)).toMatchObject({ id });
    } finally {
      await removing.destroy();
    }
  });
});

const PAUSE_LOCK = 4_711;

/** From here on a session that wants it waits at each row of `files` that it looks at, until the lock is free. */
async function pauseReadersOfFiles(): Promise<void> {
  const statements = [
    `CREATE FUNCTION pause() RETURNS boolean VOLATILE COST 1 LANGUAGE plpgsql AS $$
       BEGIN
         IF current_setting('test.pause', true) = 'on' THEN PERFORM pg_advisory_xact_lock_shared(${PAUSE_LOCK}); END IF;
         RETURN true;
       END $$`,
    'ALTER TABLE files RENAME TO real_files',
    'CREATE VIEW files AS SELECT * FROM real_files WHERE pause()',
  ];
  for (const statement of statements) await sql.raw(statement).execute(database);
}

/** Keeps a transaction open after its first step. */
async function hold(step: (held: Database) => Promise<unknown>): Promise<{ release(): Promise<void> }> {
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  let done: Promise<void> = Promise.resolve();
  await new Promise<void>((resolve, reject) => {
    done = database.transaction().execute(async (transaction) => {
      await step(transaction);
      resolve();
      await released;
    });
    done.catch(reject);
  });
  return {
    async release() {
      release();
      await done;
    },
  };
}

/** Until so many sessions of this database wait for a lock. */
async function whenWaiting(count: number): Promise<void> {
  await expect
    .poll(
      async () => {
        const { rows } = await sql<{ count: number }>`
          SELECT count(*) FROM pg_stat_activity
          WHERE datname = current_database() AND wait_event_type = 'Lock'`.execute(database);
        return rows[0]?.count;
      },
      { timeout: 10_000 },
    )
    .toBe(count);
}
