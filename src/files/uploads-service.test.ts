import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { sql } from 'kysely';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { GatewayError } from '../domain/errors.js';
import { createFileRepository, type FileRepository } from '../store/files.js';
import { createUploadRepository, type UploadRepository } from '../store/uploads.js';
import { createWorkspaceRepository } from '../store/workspaces.js';
import { createFileContents } from './file-contents.js';
import type { FileStore } from './file-store.js';
import { createLocalFileStore } from './local.js';
import { createUploadsService, type UploadRow, type UploadsService } from './uploads-service.js';

const WORKSPACE = 'ws_test';
const MAX_PART_BYTES = 1_000;
let testDatabase: TestDatabase;
let files: FileRepository;
let repository: UploadRepository;
let directory: string;
let store: FileStore;
let service: UploadsService;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  await createWorkspaceRepository(testDatabase.database).ensure({ id: WORKSPACE, name: 'test' });
  files = createFileRepository(testDatabase.database);
  repository = createUploadRepository(testDatabase.database);
});
afterAll(() => testDatabase.drop());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tunesmith-uploads-'));
  store = await createLocalFileStore(directory);
  service = serviceWith();
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const contentsIn = (within: FileStore) =>
  createFileContents({ store: within, pieces: (uploadId) => files.pieces(uploadId) });

/** As one gateway process has it. */
function serviceWith(
  faults: { readonly repository?: Partial<UploadRepository>; readonly store?: Partial<FileStore> } = {},
): UploadsService {
  const faultyStore = { ...store, ...faults.store };
  return createUploadsService({
    repository: { ...repository, ...faults.repository },
    files,
    store: faultyStore,
    contents: contentsIn(faultyStore),
    maxUploadBytes: 1_000_000,
    maxPartBytes: MAX_PART_BYTES,
    logger: pino({ level: 'silent' }),
  });
}

const away = (): GatewayError => new GatewayError('database_unavailable', 'The database does not answer.');
const stage = (text: string, within = service) =>
  within.stagePart(Readable.from([Buffer.from(text)]), new AbortController().signal);
const addPart = async (upload: UploadRow, text: string, within = service): Promise<string> =>
  (await within.commitPart(upload, await stage(text, within))).id;
const newUpload = (sizeBytes: number): Promise<UploadRow> =>
  service.create(WORKSPACE, { filename: 'train.jsonl', purpose: 'fine-tune', mimeType: 'text/jsonl', sizeBytes });
const status = async (upload: UploadRow) => (await repository.get(WORKSPACE, upload.id))?.status;
const stored = async (): Promise<readonly string[]> =>
  (await readdir(directory, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort();
const pathOf = (id: string): string => join(directory, 'content', id.slice(-2).toLowerCase(), id);
const contentOf = async (id: string): Promise<string> => {
  const file = await files.get(WORKSPACE, id);
  return (await buffer(await contentsIn(store).open(file!))).toString();
};
const filesOf = async (upload: UploadRow): Promise<readonly string[]> => {
  const rows = testDatabase.database.selectFrom('files').select('id').where('uploadId', '=', upload.id);
  return (await rows.execute()).map(({ id }) => id);
};
/** Everything in the store is named by a row, and every row of these uploads has its content. */
const expectRowsAndBytesToAgree = async (...uploads: readonly UploadRow[]): Promise<void> => {
  const ids = uploads.map(({ id }) => id);
  const rows = testDatabase.database.selectFrom('uploadParts').select('id').where('uploadId', 'in', ids);
  expect(await stored()).toEqual((await rows.execute()).map(({ id }) => id).sort());
};
/** A moment that a test waits for, and one that it decides. */
function gate(): { readonly reached: Promise<void>; readonly pass: () => Promise<void>; readonly open: () => void } {
  let arrive = (): void => undefined;
  let open = (): void => undefined;
  const reached = new Promise<void>((resolve) => (arrive = resolve));
  const opened = new Promise<void>((resolve) => (open = resolve));
  const pass = (): Promise<void> => {
    arrive();
    return opened;
  };
  return { reached, pass, open: () => open() };
}
/** A service whose reading of parts waits at the gate. */
function slowReader(at: ReturnType<typeof gate>, reads: string[] = []): UploadsService {
  return serviceWith({
    store: {
      open: async (id, range) => {
        reads.push(id);
        await at.pass();
        return store.open(id, range);
      },
    },
  });
}

describe('completing while the store fails', () => {
  test('in the middle of the pass leaves the upload pending, and can be said again', async () => {
    const upload = await newUpload(4);
    const partIds = [await addPart(upload, 'ab'), await addPart(upload, 'cd')];
    let opened = 0;
    const failing = serviceWith({
      store: {
        open: (id, range) => {
          opened += 1;
          if (opened === 2) throw new GatewayError('storage_unavailable', 'The file store does not answer.');
          return store.open(id, range);
        },
      },
    });
    await expect(failing.complete(WORKSPACE, upload.id, { partIds })).rejects.toMatchObject({
      code: 'storage_unavailable',
    });
    expect([await status(upload), await filesOf(upload)]).toEqual(['pending', []]);
    const { file } = await failing.complete(WORKSPACE, upload.id, { partIds });
    expect(await contentOf(file.id)).toBe('abcd');
    expect(file.sha256).toBe(createHash('sha256').update('abcd').digest('hex'));
  });

  test.each([
    ['is damaged', 'file_content_damaged', (id: string) => writeFile(pathOf(id), 'xy')],
    ['was cut short', 'file_content_damaged', (id: string) => writeFile(pathOf(id), 'c')],
    ['is gone', 'file_content_missing', (id: string) => rm(pathOf(id))],
  ])('says so where a part %s, and that part can be sent anew', async (_, code, harm) => {
    const upload = await newUpload(4);
    const [one, other] = [await addPart(upload, 'ab'), await addPart(upload, 'cd')];
    await harm(other);
    const attempt = service.complete(WORKSPACE, upload.id, { partIds: [one, other] });
    await expect(attempt).rejects.toMatchObject({ code });
    expect([await status(upload), await filesOf(upload)]).toEqual(['pending', []]);
    const again = await addPart(upload, 'cd');
    const { file } = await service.complete(WORKSPACE, upload.id, { partIds: [one, again] });
    expect(await contentOf(file.id)).toBe('abcd');
    expect(await stored()).toEqual([one, again].sort());
  });

  test('does not fail because parts that were not named cannot be removed', async () => {
    const upload = await newUpload(2);
    const [part] = [await addPart(upload, 'ab'), await addPart(upload, 'not named')];
    const failing = serviceWith({
      store: { delete: () => Promise.reject(new GatewayError('storage_unavailable', 'no')) },
    });
    const { file } = await failing.complete(WORKSPACE, upload.id, { partIds: [part] });
    expect(await contentOf(file.id)).toBe('ab');
  });
});

describe('a part whose insert has an unknown outcome', () => {
  test('is there where the answer was lost after the commit', async () => {
    const upload = await newUpload(2);
    let calls = 0;
    const failing = serviceWith({
      repository: {
        addPart: async (...parameters) => {
          const row = await repository.addPart(...parameters);
          if ((calls += 1) === 1) throw away();
          return row;
        },
      },
    });
    const part = await addPart(upload, 'ab', failing);
    expect((await repository.partTotals(upload.id)).count).toBe(1);
    await service.complete(WORKSPACE, upload.id, { partIds: [part] });
  });

  test('keeps its bytes and is 503 while nobody can say', async () => {
    const upload = await newUpload(2);
    const failing = serviceWith({
      repository: {
        addPart: async (...parameters) => {
          await repository.addPart(...parameters);
          throw away();
        },
        getPart: () => Promise.reject(away()),
      },
    });
    const staged = await stage('ab', failing);
    await expect(failing.commitPart(upload, staged)).rejects.toMatchObject({ code: 'database_unavailable' });
    await expectRowsAndBytesToAgree(upload);
    expect(await stored()).toEqual([staged.id]);
  });

  test('loses its bytes where the upload was cancelled meanwhile', async () => {
    const upload = await newUpload(2);
    const staged = await stage('ab');
    await service.cancel(WORKSPACE, upload.id);
    await expect(service.commitPart(upload, staged)).rejects.toMatchObject({ code: 'upload_not_pending' });
    expect(await stored()).toEqual([]);
  });
});

describe('completing while the database fails', () => {
  test('makes one file where the answer was lost after the commit', async () => {
    const upload = await newUpload(2);
    const partIds = [await addPart(upload, 'ab')];
    let calls = 0;
    const failing = serviceWith({
      repository: {
        complete: async (completion) => {
          const made = await repository.complete(completion);
          if ((calls += 1) === 1) throw away();
          return made;
        },
      },
    });
    const { file, upload: completed } = await failing.complete(WORKSPACE, upload.id, { partIds });
    expect([completed.status, completed.fileId]).toEqual(['completed', file.id]);
    expect(await filesOf(upload)).toEqual([file.id]);
  });

  test('is 503 while nobody can say, and the same call finds what became of it', async () => {
    const upload = await newUpload(2);
    const partIds = [await addPart(upload, 'ab')];
    let answers = true;
    const failing = serviceWith({
      repository: {
        get: (...parameters) => (answers ? repository.get(...parameters) : Promise.reject(away())),
        complete: async (completion) => {
          await repository.complete(completion);
          answers = false;
          throw away();
        },
      },
    });
    await expect(failing.complete(WORKSPACE, upload.id, { partIds })).rejects.toMatchObject({
      code: 'database_unavailable',
      message: expect.stringContaining('not known'),
    });
    answers = true;
    const { file } = await failing.complete(WORKSPACE, upload.id, { partIds });
    expect(await filesOf(upload)).toEqual([file.id]);
  });
});

describe('calls at the same time', () => {
  test('that complete with the same parts share one pass, and one answer', async () => {
    const upload = await newUpload(4);
    const partIds = [await addPart(upload, 'ab'), await addPart(upload, 'cd')];
    const at = gate();
    const reads: string[] = [];
    const slow = slowReader(at, reads);
    const outcomes = [1, 2, 3].map(() => slow.complete(WORKSPACE, upload.id, { partIds }));
    await at.reached;
    at.open();
    const [first, ...others] = await Promise.all(outcomes);
    expect(others).toEqual([first, first]);
    expect(reads).toEqual(partIds);
  });

  test('that complete in two gateways make one file, and both get it', async () => {
    for (let round = 0; round < 10; round += 1) {
      const upload = await newUpload(4);
      const partIds = [await addPart(upload, 'ab'), await addPart(upload, 'cd')];
      const gateways = [serviceWith(), serviceWith(), serviceWith()];
      const made = await Promise.all(gateways.map((each) => each.complete(WORKSPACE, upload.id, { partIds })));
      expect(await filesOf(upload)).toEqual([made[0]?.file.id]);
      expect(new Set(made.map(({ file }) => file.id)).size).toBe(1);
    }
  });

  test('that complete in another order: one wins, the other is told, in one gateway and in two', async () => {
    for (const second of [service, serviceWith()]) {
      const upload = await newUpload(4);
      const partIds = [await addPart(upload, 'ab'), await addPart(upload, 'cd')];
      const outcomes = await Promise.allSettled([
        service.complete(WORKSPACE, upload.id, { partIds }),
        second.complete(WORKSPACE, upload.id, { partIds: partIds.toReversed() }),
      ]);
      const [made] = outcomes.flatMap((outcome) => (outcome.status === 'fulfilled' ? [outcome.value] : []));
      const [refused] = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [String(outcome.reason)] : []));
      expect(refused).toContain('only a pending upload can be changed');
      expect(['abcd', 'cdab']).toContain(await contentOf(made!.file.id));
    }
  });

  test('that complete wrongly do not stand in the way of the right one', async () => {
    const upload = await newUpload(4);
    const partIds = [await addPart(upload, 'ab'), await addPart(upload, 'cd')];
    const wrong = service.complete(WORKSPACE, upload.id, { partIds, md5: '0'.repeat(32) });
    const right = service.complete(WORKSPACE, upload.id, { partIds });
    await expect(wrong).rejects.toMatchObject({ code: 'invalid_request', param: 'md5' });
    expect((await right).upload.status).toBe('completed');
  });

  test('cancel in the middle of a complete: the complete is told, and nothing is left', async () => {
    const upload = await newUpload(4);
    const partIds = [await addPart(upload, 'ab'), await addPart(upload, 'cd')];
    const at = gate();
    const complete = slowReader(at).complete(WORKSPACE, upload.id, { partIds });
    complete.catch(() => undefined);
    await at.reached;
    expect((await service.cancel(WORKSPACE, upload.id)).status).toBe('cancelled');
    at.open();
    await expect(complete).rejects.toMatchObject({
      code: 'upload_not_pending',
      message: expect.stringContaining('cancelled'),
    });
    expect([await stored(), await filesOf(upload)]).toEqual([[], []]);
  });

  test('complete, cancel and one more part, whoever is first: one end, and no row without bytes or bytes without a row', async () => {
    const uploads: UploadRow[] = [];
    const ends = new Set<string | undefined>();
    for (let round = 0; round < 20; round += 1) {
      const upload = await newUpload(2);
      uploads.push(upload);
      const partIds = [await addPart(upload, 'ab')];
      const staged = await stage('late');
      // Whoever begins first is not always the first there.
      const calls = [
        () => service.complete(WORKSPACE, upload.id, { partIds }),
        () => serviceWith().cancel(WORKSPACE, upload.id),
        () => service.commitPart(upload, staged),
      ];
      const shifted = [...calls.slice(round % 3), ...calls.slice(0, round % 3)];
      const outcomes = await Promise.allSettled(shifted.map((call) => call()));
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'upload_not_pending' });
      }
      const end = await status(upload);
      ends.add(end);
      expect(['completed', 'cancelled']).toContain(end);
      const [file] = await filesOf(upload);
      expect(file === undefined ? undefined : await contentOf(file)).toBe(end === 'completed' ? 'ab' : undefined);
    }
    await expectRowsAndBytesToAgree(...uploads);
    expect(ends).toContain('cancelled');
  });

  test('many parts at once stay within twice the size and one part', async () => {
    const upload = await newUpload(1_000);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 8 }, () => addPart(upload, 'x'.repeat(MAX_PART_BYTES))),
    );
    expect(outcomes.filter((outcome) => outcome.status === 'fulfilled')).toHaveLength(3);
    await expect(service.requirePending(WORKSPACE, upload.id)).rejects.toMatchObject({ code: 'payload_too_large' });
    await expectRowsAndBytesToAgree(upload);
  });
});

describe('a complete that began in time', () => {
  const expire = (upload: UploadRow, overForMinutes: number) =>
    testDatabase.database
      .updateTable('uploads')
      .set({ expiresAt: sql<Date>`now() - make_interval(mins => ${overForMinutes})` })
      .where('id', '=', upload.id)
      .execute();

  test('is finished after the hour too', async () => {
    const upload = await newUpload(2);
    const partIds = [await addPart(upload, 'ab')];
    const at = gate();
    const complete = slowReader(at).complete(WORKSPACE, upload.id, { partIds });
    await at.reached;
    await expire(upload, 10);
    await service.removeExpired();
    at.open();
    expect((await complete).upload.status).toBe('completed');
  });

  test('is told when it took so long that the upload was ended', async () => {
    const upload = await newUpload(2);
    const partIds = [await addPart(upload, 'ab')];
    const at = gate();
    const complete = slowReader(at).complete(WORKSPACE, upload.id, { partIds });
    complete.catch(() => undefined);
    await at.reached;
    await expire(upload, 20);
    expect(await service.removeExpired()).toBe(1);
    at.open();
    await expect(complete).rejects.toMatchObject({
      code: 'upload_not_pending',
      message: expect.stringContaining('expired'),
    });
    expect(await stored()).toEqual([]);
  });
});
