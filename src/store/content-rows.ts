import { sql } from 'kysely';
import type { Database } from './database.js';

/** Which contents of the file store have a row: a file's own, or a part of an upload. */
export interface ContentRows {
  /** Those of the ids that no row names. */
  withoutRow(ids: readonly string[]): Promise<readonly string[]>;
  /**
   * Runs the action where no row names the content, and answers whether it did. Until it has ended no row can be made
   * by `FileRepository.insert` or `UploadRepository.addPart`.
   */
  whileWithoutRow(id: string, action: () => Promise<void>): Promise<boolean>;
}

export function createContentRows(database: Database): ContentRows {
  const withoutRow = async (within: Database, ids: readonly string[]): Promise<readonly string[]> => {
    if (ids.length === 0) return [];
    const { rows } = await sql<{ id: string }>`
      SELECT id FROM unnest(${ids}::text[]) AS content (id)
      WHERE NOT EXISTS (SELECT FROM files WHERE files.id = content.id AND files.upload_id IS NULL)
        AND NOT EXISTS (SELECT FROM upload_parts WHERE upload_parts.id = content.id)`.execute(within);
    return rows.map(({ id }) => id);
  };
  return {
    withoutRow: (ids) => withoutRow(database, ids),
    whileWithoutRow: (id, action) =>
      database.transaction().execute(async (transaction) => {
        await sql`SELECT pg_advisory_xact_lock(${contentLock(id)})`.execute(transaction);
        const [unnamed] = await withoutRow(transaction, [id]);
        if (unnamed === undefined) return false;
        await action();
        return true;
      }),
  };
}

/**
 * Waits for a removal of this content that is under way, and keeps others off until the transaction ends. A row that is
 * made after it cannot lose its content to a removal that had not seen the row.
 */
export async function keepContent(transaction: Database, id: string): Promise<void> {
  await sql`SELECT pg_advisory_xact_lock_shared(${contentLock(id)})`.execute(transaction);
}

const contentLock = (id: string) => sql`hashtextextended(${`content ${id}`}, 0)`;
