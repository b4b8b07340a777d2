import { GatewayError } from '../domain/errors.js';
import type { Logger } from '../observability/logger.js';
import type { FileStore } from './file-store.js';

/** How content that is in the store gets the row that makes it somebody's. */
export interface RowOfContent<Row> {
  readonly contentId: string;
  /** Idempotent on the id, and it waits for an insert of the same id that is still under way. */
  insert(): Promise<Row>;
  find(): Promise<Row | null>;
  /** What to tell the caller where nobody can say whether the row is there. */
  readonly whenUnknown: string;
}

export interface ContentWithRow {
  /**
   * Makes the row. Where it surely was not made the content is removed and the error is the insert's; where that is not known
   * the content is kept: `database_unavailable` with the words of `whenUnknown`.
   */
  insert<Row>(row: RowOfContent<Row>): Promise<Row>;
  /** Removes contents that no row names (any more). Does not fail: the outcome for the caller does not depend on it. */
  remove(contentIds: readonly string[]): Promise<void>;
}

/** A file of many parts is removed in seconds, and the store is not flooded. */
const REMOVALS_AT_ONCE = 16;

/** The order that keeps every row with its content: bytes come first and go last. */
export function createContentWithRow(dependencies: {
  readonly store: FileStore;
  readonly logger: Logger;
}): ContentWithRow {
  const { store, logger } = dependencies;
  const removeOne = async (contentId: string): Promise<void> => {
    try {
      await store.delete(contentId);
    } catch (error) {
      logger.warn({ err: error, contentId }, 'content without a row could not be removed');
    }
  };
  const remove = async (contentIds: readonly string[]): Promise<void> => {
    const remaining = contentIds.values();
    const worker = async (): Promise<void> => {
      for (const contentId of remaining) await removeOne(contentId);
    };
    await Promise.all(Array.from({ length: Math.min(REMOVALS_AT_ONCE, contentIds.length) }, worker));
  };
  return {
    remove,
    /** An insert whose answer was lost may have made the row: its bytes are deleted only where it surely did not. */
    async insert(row) {
      const { contentId, whenUnknown } = row;
      try {
        return await row.insert();
      } catch {
        // The second attempt says what the first one did.
      }
      try {
        return await row.insert();
      } catch (error) {
        const found = await row.find().catch(() => 'unknown' as const);
        if (found === 'unknown' || (found === null && isDatabaseAway(error))) {
          logger.warn({ err: error, contentId }, 'whether the row was made is not known; the content is kept');
          throw new GatewayError('database_unavailable', whenUnknown, { cause: error });
        }
        if (found !== null) return found;
        await removeOne(contentId);
        throw error;
      }
    },
  };
}

function isDatabaseAway(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'database_unavailable';
}
