import { sql, type Selectable, type Transaction } from 'kysely';
import type { JsonValue } from '../domain/json.js';
import { safeJson, safeText } from '../domain/safe-text.js';
import type { Database } from './database.js';
import { newId } from './new-id.js';
import type { JobEventsTable, Tables } from './schema.js';

export type JobEventRow = Selectable<JobEventsTable>;

export interface NewJobEvent {
  /** Unique within the job: a second insert of the same is no event. */
  readonly sourceId: `gateway:${string}` | `provider:${string}`;
  /** ISO 8601; now where absent. */
  readonly createdAt?: string;
  readonly level: 'info' | 'warn' | 'error';
  readonly type: 'message' | 'metrics';
  readonly message: string;
  readonly data: JsonValue;
}

export type JobEventsRepository = ReturnType<typeof createJobEventsRepository>;

/** Events of jobs: the provider's, each once and in its order, with ours among them. */
export function createJobEventsRepository(database: Database) {
  return {
    /** Appends those that the job does not have yet, in this order, and returns how many those were. */
    append(jobId: string, events: readonly NewJobEvent[]): Promise<number> {
      if (events.length === 0) return Promise.resolve(0);
      return database.transaction().execute((transaction) => insertEvents(transaction, jobId, events));
    },

    /** The provider's id of the last event mirrored from it; null before the first. */
    async lastProviderEventId(jobId: string): Promise<string | null> {
      const row = await database
        .selectFrom('jobEvents')
        .select('sourceId')
        .where('jobId', '=', jobId)
        .where('sourceId', 'like', 'provider:%')
        .orderBy('sequence', 'desc')
        .limit(1)
        .executeTakeFirst();
      return row === undefined ? null : row.sourceId.slice('provider:'.length);
    },

    /** Newest first; undefined where `after` is no event of the job. */
    async list(
      jobId: string,
      page: { readonly after: string | null; readonly limit: number },
    ): Promise<{ readonly rows: readonly JobEventRow[]; readonly hasMore: boolean } | undefined> {
      let query = database
        .selectFrom('jobEvents')
        .selectAll()
        .where('jobId', '=', jobId)
        .orderBy('sequence', 'desc')
        .limit(page.limit + 1);
      if (page.after !== null) {
        const cursor = await database
          .selectFrom('jobEvents')
          .select('sequence')
          .where('jobId', '=', jobId)
          .where('id', '=', page.after)
          .executeTakeFirst();
        if (cursor === undefined) return undefined;
        query = query.where('sequence', '<', cursor.sequence);
      }
      const rows = await query.execute();
      return { rows: rows.slice(0, page.limit), hasMore: rows.length > page.limit };
    },
  };
}

const INSERT_BATCH = 500;

/** Takes the sequence under the job row's lock, so that the list has no gaps however many writers there are. */
export async function insertEvents(
  transaction: Transaction<Tables>,
  jobId: string,
  events: readonly NewJobEvent[],
): Promise<number> {
  const job = await transaction
    .selectFrom('jobs')
    .select('nextEventSequence')
    .where('id', '=', jobId)
    .forUpdate()
    .executeTakeFirstOrThrow();
  const known = await transaction
    .selectFrom('jobEvents')
    .select('sourceId')
    .where('jobId', '=', jobId)
    .where('sourceId', 'in', [...new Set(events.map((event) => event.sourceId))])
    .execute();
  const seen = new Set(known.map((row) => row.sourceId));
  const fresh = events.filter((event) => {
    const isFresh = !seen.has(event.sourceId);
    seen.add(event.sourceId);
    return isFresh;
  });
  for (let start = 0; start < fresh.length; start += INSERT_BATCH) {
    const rows = fresh.slice(start, start + INSERT_BATCH).map((event, index) => ({
      id: newId('ftevent-'),
      jobId,
      sequence: job.nextEventSequence + start + index,
      sourceId: event.sourceId,
      createdAt: event.createdAt === undefined ? new Date() : new Date(event.createdAt),
      level: event.level,
      type: event.type,
      message: safeText(event.message),
      data: safeJson(event.data),
    }));
    await transaction.insertInto('jobEvents').values(rows).execute();
  }
  if (fresh.length > 0) {
    await transaction
      .updateTable('jobs')
      .set({ nextEventSequence: sql`next_event_sequence + ${fresh.length}` })
      .where('id', '=', jobId)
      .execute();
  }
  return fresh.length;
}
