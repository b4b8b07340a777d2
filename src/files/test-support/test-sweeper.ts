import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pino } from 'pino';
import { GatewayError } from '../../domain/errors.js';
import { createContentRows } from '../../store/content-rows.js';
import type { Database } from '../../store/database.js';
import { createInstallationRepository } from '../../store/installation.js';
import type { FileStore } from '../file-store.js';
import { STORE_OWNER_ID } from '../store-owner.js';
import { createFileSweeper, type FileSweeperDependencies } from '../sweep.js';

export const HOUR_MS = 60 * 60 * 1_000;
export const NOW_MS = Date.UTC(2026, 10, 23);

export interface MemoryStore extends FileStore {
  readonly contents: Map<string, { bytes: Buffer; modifiedAt: Date }>;
  /** When each half-written content was begun. */
  readonly halfWritten: Date[];
  /** Makes a content of that age. */
  add(id: string, ageHours: number): void;
  ids(): readonly string[];
}

/** Contents whose age a test says; it gives all of a content at once. */
export function createMemoryStore(): MemoryStore {
  const contents: MemoryStore['contents'] = new Map();
  const halfWritten: Date[] = [];
  return {
    contents,
    halfWritten,
    add(id, ageHours) {
      contents.set(id, { bytes: Buffer.from('x'), modifiedAt: new Date(NOW_MS - ageHours * HOUR_MS) });
    },
    ids: () => [...contents.keys()].filter((id) => id !== STORE_OWNER_ID),
    async put(id, content) {
      const bytes = await buffer(content);
      contents.set(id, { bytes, modifiedAt: new Date(NOW_MS) });
      return { sizeBytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
    },
    open(id) {
      const content = contents.get(id);
      return content === undefined
        ? Promise.reject(new GatewayError('file_content_missing', `no ${id}`))
        : Promise.resolve(Readable.from([content.bytes]));
    },
    sizeBytes: (id) => Promise.resolve(contents.get(id)?.bytes.length ?? null),
    delete(id) {
      contents.delete(id);
      return Promise.resolve();
    },
    async *list() {
      for (const [id, { modifiedAt }] of [...contents]) yield await Promise.resolve({ id, modifiedAt });
    },
    removeAbandoned(begunBefore) {
      const kept = halfWritten.filter((begunAt) => begunAt >= begunBefore);
      const removed = halfWritten.splice(0).length - kept.length;
      halfWritten.push(...kept);
      return Promise.resolve(removed);
    },
    check: () => Promise.resolve(),
  };
}

interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly contentId?: string;
}

/** A sweeper at `NOW_MS`, and what it logged. */
export function createTestSweeper(
  database: Database,
  store: FileStore,
  overrides: Partial<FileSweeperDependencies> = {},
) {
  const lines: LogLine[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => lines.push(JSON.parse(line) as LogLine) });
  const sweep = createFileSweeper({
    store,
    rows: createContentRows(database),
    installation: createInstallationRepository(database),
    logger,
    now: () => NOW_MS,
    settleMs: 0,
    ...overrides,
  });
  return { sweep, lines, errors: () => lines.filter(({ level }) => level === 50).map(({ msg }) => msg) };
}
