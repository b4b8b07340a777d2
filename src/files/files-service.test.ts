import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { GatewayError } from '../domain/errors.js';
import { createFileRepository, type FileRepository } from '../store/files.js';
import { createWorkspaceRepository } from '../store/workspaces.js';
import { createFileContents } from './file-contents.js';
import { createFilesService, type FilesService, type StagedContent } from './files-service.js';
import { createLocalFileStore } from './local.js';

const WORKSPACE = 'ws_test';
const DESCRIPTION = { filename: 'train.jsonl', purpose: 'fine-tune' } as const;
let testDatabase: TestDatabase;
let repository: FileRepository;
let directory: string;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  await createWorkspaceRepository(testDatabase.database).ensure({ id: WORKSPACE, name: 'test' });
  repository = createFileRepository(testDatabase.database);
});
afterAll(() => testDatabase.drop());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tunesmith-files-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const away = (): GatewayError => new GatewayError('database_unavailable', 'The database does not answer.');

/** A service over a repository whose first `failures` inserts fail as `insert` says. */
async function serviceWith(
  insert: FileRepository['insert'],
  options: { readonly failures?: number; readonly get?: FileRepository['get'] } = {},
): Promise<FilesService> {
  let calls = 0;
  const store = await createLocalFileStore(directory);
  return createFilesService({
    repository: {
      ...repository,
      ...(options.get === undefined ? {} : { get: options.get }),
      insert: (file) => ((calls += 1) <= (options.failures ?? 1) ? insert(file) : repository.insert(file)),
    },
    store,
    contents: createFileContents({ store, pieces: repository.pieces }),
    maxFileBytes: 1_000,
    logger: pino({ level: 'silent' }),
  });
}

async function stage(service: FilesService): Promise<StagedContent> {
  async function* content(): AsyncGenerator<Uint8Array> {
    yield await Promise.resolve(Buffer.from('{}\n'));
  }
  return service.stage(content(), new AbortController().signal);
}

const storedFiles = async (): Promise<number> =>
  (await readdir(directory, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile()).length;

describe('making staged content a file', () => {
  test('is done, bytes and all, where the answer to the insert was lost after its commit', async () => {
    const service = await serviceWith(async (file) => {
      await repository.insert(file);
      throw away();
    });
    const row = await service.commit(WORKSPACE, await stage(service), DESCRIPTION);
    expect(row).toMatchObject({ filename: 'train.jsonl', sizeBytes: 3 });
    expect(await text(await service.openContent(row))).toBe('{}\n');
  });

  test('is done where the first attempt did not reach the database', async () => {
    const service = await serviceWith(() => Promise.reject(away()));
    const row = await service.commit(WORKSPACE, await stage(service), DESCRIPTION);
    expect(await service.get(WORKSPACE, row.id)).toEqual(row);
  });

  test('keeps the bytes and is 503 while nobody can say whether the row is there', async () => {
    const service = await serviceWith(
      async (file) => {
        await repository.insert(file).catch(() => undefined);
        throw away();
      },
      { failures: Infinity, get: () => Promise.reject(away()) },
    );
    const staged = await stage(service);
    await expect(service.commit(WORKSPACE, staged, DESCRIPTION)).rejects.toMatchObject({
      code: 'database_unavailable',
    });
    const row = await repository.get(WORKSPACE, staged.id);
    expect(await text(await service.openContent(row!))).toBe('{}\n');
  });

  test('is 503 too where the database says something else than that it is away', async () => {
    const service = await serviceWith(() => Promise.reject(new Error('odd')), {
      failures: Infinity,
      get: () => Promise.reject(new Error('odd as well')),
    });
    await expect(service.commit(WORKSPACE, await stage(service), DESCRIPTION)).rejects.toMatchObject({
      code: 'database_unavailable',
    });
    expect(await storedFiles()).toBe(1);
  });

  test('takes the bytes away where the row is known not to be there', async () => {
    const service = await serviceWith(() => Promise.reject(new Error('refused')), { failures: Infinity });
    await expect(service.commit(WORKSPACE, await stage(service), DESCRIPTION)).rejects.toThrow('refused');
    expect(await storedFiles()).toBe(0);
  });

  test('takes the bytes away where the description is wrong', async () => {
    const service = await serviceWith(() => Promise.reject(new Error('not asked')));
    const staged = await stage(service);
    await expect(service.commit(WORKSPACE, staged, { ...DESCRIPTION, filename: 'a.csv' })).rejects.toMatchObject({
      code: 'invalid_file_format',
    });
    expect(await storedFiles()).toBe(0);
  });
});
