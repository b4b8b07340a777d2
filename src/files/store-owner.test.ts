import { Readable } from 'node:stream';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { createFileRepository } from '../store/files.js';
import { createInstallationRepository } from '../store/installation.js';
import { createWorkspaceRepository } from '../store/workspaces.js';
import type { FileStore } from './file-store.js';
import { STORE_OWNER_ID } from './store-owner.js';
import { createMemoryStore, createTestSweeper, type MemoryStore } from './test-support/test-sweeper.js';

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
  for (const table of ['files', 'installation'] as const) {
    await database.deleteFrom(table).execute();
  }
});

const sweeperOf = (store: FileStore) => createTestSweeper(testDatabase.database, store);
const addFile = (id: string) => createFileRepository(testDatabase.database).insert({ ...FILE, id });

/** A store that this database owns, with a file in it. */
async function ownStore(): Promise<MemoryStore> {
  const store = createMemoryStore();
  await sweeperOf(store).sweep();
  store.add('file-known', 100);
  await addFile('file-known');
  return store;
}

describe('the owner mark of a store', () => {
  const mark = (store: MemoryStore) => store.contents.get(STORE_OWNER_ID)?.bytes.toString().trim();
  const databaseMark = () => createInstallationRepository(testDatabase.database).find('file_store_id');
  const forget = () => testDatabase.database.deleteFrom('installation').execute();

  test('is written to an empty store and to the database, once', async () => {
    const store = createMemoryStore();
    expect(await sweeperOf(store).sweep()).toMatchObject({ swept: true });
    const first = mark(store);
    expect(first).toMatch(/^[0-9a-f]{32}$/);
    expect(await databaseMark()).toBe(first);
    await sweeperOf(store).sweep();
    expect(mark(store)).toBe(first);
  });

  test('is written to a store in which the database knows a content', async () => {
    const store = createMemoryStore();
    for (let index = 0; index < 510; index += 1) store.add(`file-orphan${index}`, 48);
    store.add('file-known', 48);
    await addFile('file-known');
    expect(await sweeperOf(store).sweep()).toMatchObject({ swept: true, removed: 510 });
    expect(store.ids()).toEqual(['file-known']);
  });

  test('is not written to a full store by a database that knows nothing of it', async () => {
    const store = createMemoryStore();
    store.add('file-other', 48);
    const { sweep, errors } = sweeperOf(store);
    expect(await sweep()).toMatchObject({ swept: false, removed: 0 });
    expect([mark(store), await databaseMark()]).toEqual([undefined, null]);
    expect(errors()).toEqual([expect.stringContaining('this database knows none of them')]);
    expect(store.ids()).toEqual(['file-other']);
  });

  test('keeps a database that has no mark, or another one, from sweeping', async () => {
    const store = await ownStore();
    store.add('file-orphan', 48);
    store.halfWritten.push(new Date(0));
    await forget();
    for (const otherMark of [null, 'another']) {
      if (otherMark !== null)
        await createInstallationRepository(testDatabase.database).claim('file_store_id', otherMark);
      const { sweep, errors } = sweeperOf(store);
      expect(await sweep()).toEqual({ swept: false, examined: 0, removed: 0, failed: 0, abandoned: 0 });
      expect(errors()).toEqual([expect.stringContaining('`store-owner`')]);
      expect(await databaseMark()).toBe(otherMark);
    }
    expect(store.ids()).toEqual(['file-known', 'file-orphan']);
    expect(store.halfWritten).toHaveLength(1);
  });

  test('that is damaged is nobody’s', async () => {
    const store = await ownStore();
    store.contents.set(STORE_OWNER_ID, { bytes: Buffer.alloc(0), modifiedAt: new Date(0) });
    expect(await sweeperOf(store).sweep()).toMatchObject({ swept: false });
  });

  test('hands the store over when it is removed by hand', async () => {
    const store = await ownStore();
    store.add('file-orphan', 48);
    await forget();
    store.contents.delete(STORE_OWNER_ID);
    expect(await sweeperOf(store).sweep()).toMatchObject({ swept: true, removed: 1 });
    expect(mark(store)).toBe(await databaseMark());
  });

  test('is completed after a crash between database and store', async () => {
    await createInstallationRepository(testDatabase.database).claim('file_store_id', 'begun');
    const store = createMemoryStore();
    expect(await sweeperOf(store).sweep()).toMatchObject({ swept: true });
    expect(mark(store)).toBe('begun');
  });

  test('goes to one of two installations that take the store at the same moment', async () => {
    const store = createMemoryStore();
    const other: FileStore = {
      ...store,
      async put(id, content, options) {
        const stored = await store.put(id, content, options);
        // The other one had looked before this mark was there.
        await store.put(id, Readable.from([Buffer.from('the other one')]), options);
        return stored;
      },
    };
    expect(await sweeperOf(other).sweep()).toMatchObject({ swept: false });
    expect(mark(store)).toBe('the other one');
  });
});
