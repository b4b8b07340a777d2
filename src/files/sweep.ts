import type { SweepReport } from '../domain/activities.js';
import type { Logger } from '../observability/logger.js';
import type { ContentRows } from '../store/content-rows.js';
import type { InstallationRepository } from '../store/installation.js';
import type { FileStore } from './file-store.js';
import { findStoreOwner, STORE_OWNER_ID, type StoreOwnership } from './store-owner.js';

export interface FileSweeperDependencies {
  readonly store: FileStore;
  readonly rows: ContentRows;
  readonly installation: InstallationRepository;
  readonly logger: Logger;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
  /** Younger content stays: bytes are written before their row, and the rest of a form may be slow. A day where not given. */
  readonly graceMs?: number;
  /** See `StoreOwnerDependencies`. */
  readonly settleMs?: number;
}

/**
 * Removes what a crash left in the file store: whole content without a row, and content that was begun and never finished.
 * Can be cut off anywhere and begun anew, and run by several at once. Ends with an error, having removed less, where the
 * database or the store does not answer.
 */
export type FileSweeper = (signal?: AbortSignal) => Promise<SweepReport>;

const DAY_MS = 24 * 60 * 60 * 1_000;
const BATCH = 500;
/** So many deletes that fail in a row are no longer about one content. */
const MAX_FAILURES_IN_A_ROW = 10;

const NOT_OURS: Readonly<Record<Exclude<StoreOwnership, 'ours'>, string>> = {
  foreign:
    'The file store belongs to another installation, or the database was made anew or restored from before the store was first ' +
    `used with it: the content \`${STORE_OWNER_ID}\` in the store is not this database's. Nothing is swept. If FILE_STORE is wrong, ` +
    `set it to a directory, bucket or prefix of its own. If the store shall be this database's, remove the content ` +
    `\`${STORE_OWNER_ID}\` from it by hand: what is there without a row is then removed a day after it was stored`,
  unclaimed:
    'The file store has contents, and this database knows none of them: it may be new, restored from an old backup, or another ' +
    "installation's. Nothing is swept, and the store is not taken, before it has a file of this database. If FILE_STORE or " +
    'DATABASE_URL is wrong, set it right',
};

export function createFileSweeper(dependencies: FileSweeperDependencies): FileSweeper {
  const { store, rows, logger, now = Date.now, graceMs = DAY_MS } = dependencies;
  return async (signal) => {
    const ownership = await findStoreOwner(dependencies, signal);
    if (ownership !== 'ours') {
      logger.error({ ownership }, NOT_OURS[ownership]);
      return { swept: false, examined: 0, removed: 0, failed: 0, abandoned: 0 };
    }
    const storedBefore = new Date(now() - graceMs);
    const count = { examined: 0, removed: 0, failed: 0 };
    let failuresInARow = 0;

    const remove = (id: string): Promise<boolean> =>
      rows.whileWithoutRow(id, async () => {
        try {
          await store.delete(id);
        } catch (error) {
          failuresInARow += 1;
          if (failuresInARow === MAX_FAILURES_IN_A_ROW) throw error;
          count.failed += 1;
          logger.warn({ err: error, contentId: id }, 'sweep: content without a row could not be removed');
          return;
        }
        failuresInARow = 0;
        count.removed += 1;
        logger.debug({ contentId: id }, 'sweep: content without a row was removed');
      });
    const sweep = async (ids: readonly string[]): Promise<void> => {
      for (const id of await rows.withoutRow(ids)) {
        signal?.throwIfAborted();
        await remove(id);
      }
    };

    let batch: string[] = [];
    for await (const { id, modifiedAt } of store.list(signal)) {
      signal?.throwIfAborted();
      if (id === STORE_OWNER_ID) continue;
      count.examined += 1;
      if (modifiedAt >= storedBefore) continue;
      batch.push(id);
      if (batch.length < BATCH) continue;
      await sweep(batch);
      batch = [];
    }
    await sweep(batch);
    signal?.throwIfAborted();
    const abandoned = await store.removeAbandoned(storedBefore);
    const report = { swept: true, ...count, abandoned };
    logger.info(report, 'the file store was swept');
    return report;
  };
}
