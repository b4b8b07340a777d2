import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { GatewayError } from '../domain/errors.js';
import { createContentRows, type ContentRows } from '../store/content-rows.js';
import { createFileRepository } from '../store/files.js';
import { createInstallationRepository } from '../store/installation.js';
import { createWorkspaceRepository } from '../store/workspaces.js';
import type { FileStore } from './file-store.js';
import { createLocalFileStore } from './local.js';
import { STORE_OWNER_ID } from './store-owner.js';
import type { FileSweeperDependencies } from './sweep.js';
import {
  createMemoryStore,
  createTestSweeper,
  HOUR_MS,
  NOW_MS,
  type MemoryStore,
} from './test-support/test-sweeper.js';

const WORKSPACE = 'ws_test';
const FILE = { workspaceId: WORKSPACE, filename: 'a.jsonl', purpose: 'fine-tune', sizeBytes: 1, sha256: '00' };

let testDatabase: TestDatabase;
beforeAll(async () => {
  testDatabase = await createTestDatabase();
  await createWorkspaceRepository(testDatabase.database).ensure({ id: WORKSPACE, name: 'test' });
});
afterAll(() => testDatabase.drop());
beforeEach(async () => {
  const { database } = testDatabase;
  for (const table of ['uploadParts', 'files', 'uploads', 'installation'] as const) {
    await database.deleteFrom(table).execute();
  }
});

const sweeperOf = (store: FileStore, overrides: Partial<FileSweeperDependencies> = {}) =>
  createTestSweeper(testDatabase.database, store, overrides);
const addFile = (id: string) => createFileRepository(testDatabase.database).insert({ ...FILE, id });

async function addParts(uploadId: string, parts: Readonly<Record<string, number | null>>, fileId?: string) {
  const { database } = testDatabase;
  await database
    .insertInto('uploads')
    .values({
      id: uploadId,
      workspaceId: WORKSPACE,
      filename: 'a.jsonl',
      purpose: 'fine-tune',
      mimeType: 'text/plain',
      sizeBytes: 1,
      expiresAt: new Date(),
    })
    .execute();
  for (const [id, position] of Object.entries(parts)) {
    await database.insertInto('uploadParts').values({ id, uploadId, sizeBytes: 1, sha256: '00', position }).execute();
  }
  if (fileId !== undefined) await createFileRepository(database).insert({ ...FILE, id: fileId, uploadId });
}

/** A store that this database owns, with a file in it. */
async function ownStore(): Promise<MemoryStore> {
  const store = createMemoryStore();
  await sweeperOf(store).sweep();
  store.add('file-known', 100);
  await addFile('file-known');
  return store;
}

describe('a sweep of the file store', () => {
  test('removes bytes whose row was never made, and nothing that has a row or is younger than a day', async () => {
    const store = await ownStore();
    store.add('file-orphan', 25);
    store.add('part_orphan', 1_000);
    store.add('file-young', 23);
    await addParts('upload_pending', { part_pending: null });
    await addParts('upload_done', { part_first: 0, part_second: 1 }, 'file-joined');
    for (const id of ['part_pending', 'part_first', 'part_second']) store.add(id, 48);
    // A file that is its parts has no content of its own.
    store.add('file-joined', 48);
    const { sweep, lines } = sweeperOf(store);
    expect(await sweep()).toEqual({ swept: true, examined: 8, removed: 3, failed: 0, abandoned: 0 });
    expect(new Set(store.ids())).toEqual(
      new Set(['file-known', 'file-young', 'part_pending', 'part_first', 'part_second']),
    );
    expect(store.contents.has(STORE_OWNER_ID)).toBe(true);
    expect(lines.filter(({ level }) => level === 30)).toMatchObject([{ examined: 8, removed: 3 }]);
    expect(new Set(lines.filter(({ level }) => level === 20).map(({ contentId }) => contentId))).toEqual(
      new Set(['file-orphan', 'part_orphan', 'file-joined']),
    );
    expect((await sweep()).removed).toBe(0);
  });

  test('removes half-written content that was begun more than a day ago', async () => {
    const store = await ownStore();
    store.halfWritten.push(new Date(NOW_MS - 25 * HOUR_MS), new Date(NOW_MS - 23 * HOUR_MS));
    expect(await sweeperOf(store).sweep()).toMatchObject({ abandoned: 1 });
    expect(store.halfWritten).toHaveLength(1);
  });

  test('takes another grace where it is given', async () => {
    const store = await ownStore();
    store.add('file-orphan', 2);
    expect(await sweeperOf(store, { graceMs: 3 * HOUR_MS }).sweep()).toMatchObject({ removed: 0 });
    expect(await sweeperOf(store, { graceMs: HOUR_MS }).sweep()).toMatchObject({ removed: 1 });
  });

  test('goes through thousands of contents', async () => {
    const store = await ownStore();
    for (let index = 0; index < 1_700; index += 1) store.add(`file-many${index}`, 48);
    const orphans = [0, 499, 500, 999, 1_000, 1_699].map((index) => `file-many${index}`);
    const kept = store.ids().filter((id) => id.startsWith('file-many') && !orphans.includes(id));
    await testDatabase.database
      .insertInto('files')
      .values(kept.map((id) => ({ ...FILE, id })))
      .execute();
    expect(await sweeperOf(store).sweep()).toMatchObject({ examined: 1_701, removed: 6 });
    expect(store.ids()).toEqual(['file-known', ...kept]);
  });

  test('keeps content whose row is made after the first question and before the removal', async () => {
    const store = await ownStore();
    store.add('file-late', 48);
    store.add('part_late', 48);
    const rows = createContentRows(testDatabase.database);
    const late: ContentRows = {
      ...rows,
      async withoutRow(ids) {
        const unnamed = await rows.withoutRow(ids);
        if (unnamed.length > 0) {
          await addFile('file-late');
          await addParts('upload_late', { part_late: null });
        }
        return unnamed;
      },
    };
    expect(await sweeperOf(store, { rows: late }).sweep()).toMatchObject({ removed: 0 });
    expect(store.ids()).toEqual(['file-known', 'file-late', 'part_late']);
  });

  test('has removed the content before a row of it can be made, once it has begun to', async () => {
    const store = await ownStore();
    store.add('file-result', 48);
    const order: string[] = [];
    let row: Promise<unknown> = Promise.resolve();
    const slow: FileStore = {
      ...store,
      async delete(id) {
        row = addFile(id).then(() => order.push('row'));
        await new Promise((resolve) => setTimeout(resolve, 50));
        await store.delete(id);
        order.push('removed');
      },
    };
    await sweeperOf(slow).sweep();
    await row;
    expect(order).toEqual(['removed', 'row']);
  });

  test('may run several times at once', async () => {
    const store = await ownStore();
    for (let index = 0; index < 40; index += 1) store.add(`file-orphan${index}`, 48);
    const { sweep } = sweeperOf(store);
    const reports = await Promise.all([sweep(), sweep(), sweep()]);
    expect(reports.every(({ swept, failed }) => swept && failed === 0)).toBe(true);
    expect(store.ids()).toEqual(['file-known']);
  });

  test('goes on past content that the store does not give up', async () => {
    const store = await ownStore();
    store.add('file-held', 48);
    store.add('file-orphan', 48);
    const held: FileStore = {
      ...store,
      delete: (id) => (id === 'file-held' ? Promise.reject(new Error('legal hold')) : store.delete(id)),
    };
    const { sweep, lines } = sweeperOf(held);
    expect(await sweep()).toMatchObject({ removed: 1, failed: 1 });
    expect(store.ids()).toEqual(['file-known', 'file-held']);
    expect(lines.filter(({ level }) => level === 40)).toMatchObject([{ contentId: 'file-held' }]);
  });

  test('ends with the error of a store that refuses every removal', async () => {
    const store = await ownStore();
    for (let index = 0; index < 100; index += 1) store.add(`file-orphan${index}`, 48);
    let asked = 0;
    const broken: FileStore = {
      ...store,
      delete: () => {
        asked += 1;
        return Promise.reject(new GatewayError('storage_unavailable', 'away'));
      },
    };
    await expect(sweeperOf(broken).sweep()).rejects.toMatchObject({ code: 'storage_unavailable' });
    expect(asked).toBe(10);
  });

  test('ends with the error of a store that breaks while it is listed, and begins anew at the next', async () => {
    const store = await ownStore();
    for (let index = 0; index < 520; index += 1) store.add(`file-orphan${index}`, 48);
    const breaking: FileStore = {
      ...store,
      async *list() {
        let count = 0;
        for await (const entry of store.list()) {
          if ((count += 1) > 510) throw new GatewayError('storage_unavailable', 'away');
          yield entry;
        }
      },
    };
    await expect(sweeperOf(breaking).sweep()).rejects.toMatchObject({ code: 'storage_unavailable' });
    await sweeperOf(store).sweep();
    expect(store.ids()).toEqual(['file-known']);
  });

  test('removes nothing while the database does not answer', async () => {
    const store = await ownStore();
    store.add('file-orphan', 48);
    const away = () => Promise.reject(new GatewayError('database_unavailable', 'away'));
    const installation = createInstallationRepository(testDatabase.database);
    const rows = createContentRows(testDatabase.database);
    for (const overrides of [
      { installation: { ...installation, find: away } },
      { rows: { ...rows, withoutRow: away } },
      { rows: { ...rows, whileWithoutRow: away } },
    ]) {
      await expect(sweeperOf(store, overrides).sweep()).rejects.toMatchObject({ code: 'database_unavailable' });
    }
    expect(store.ids()).toEqual(['file-known', 'file-orphan']);
  });

  test('stops when it is told to', async () => {
    const store = await ownStore();
    for (let index = 0; index < 20; index += 1) store.add(`file-orphan${index}`, 48);
    const stop = new AbortController();
    const stopping: FileStore = {
      ...store,
      delete(id) {
        stop.abort(new Error('stopping'));
        return store.delete(id);
      },
    };
    await expect(sweeperOf(stopping).sweep(stop.signal)).rejects.toThrow('stopping');
    expect(store.ids()).toHaveLength(20);
  });
});

describe('a sweep of a directory', () => {
  test('leaves what has a row, what is young and the mark', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'tunesmith-sweep-'));
    try {
      const store = await createLocalFileStore(directory);
      const { sweep } = sweeperOf(store, { now: Date.now });
      await sweep();
      const bytes = () => Readable.from([Buffer.from('x')]);
      for (const id of ['file-kept', 'file-orphan', 'part_orphan', 'file-young']) {
        await store.put(id, bytes(), { maxBytes: 10 });
      }
      await addFile('file-kept');
      const entries = await readdir(directory, { recursive: true, withFileTypes: true });
      const longAgo = new Date(Date.now() - 25 * HOUR_MS);
      for (const entry of entries) {
        if (entry.isFile() && entry.name !== 'file-young')
          await utimes(join(entry.parentPath, entry.name), longAgo, longAgo);
      }
      expect(await sweep()).toEqual({ swept: true, examined: 4, removed: 2, failed: 0, abandoned: 0 });
      const left: string[] = [];
      for await (const { id } of store.list()) left.push(id);
      expect(left.sort()).toEqual(['file-kept', 'file-young', STORE_OWNER_ID]);
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  });
});
