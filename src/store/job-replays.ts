import { sql } from 'kysely';
import type { Database } from './database.js';
import type { JobRow } from './jobs.js';

export interface EarlierCreate {
  readonly workspaceId: string;
  readonly apiKeyId: string;
  readonly requestHash: string;
  readonly withinMs: number;
}

export type JobReplaysRepository = ReturnType<typeof createJobReplaysRepository>;

/** Jobs that an earlier attempt at the same create has made. */
export function createJobReplaysRepository(database: Database) {
  return {
    /** The job with this id whoever's key asked for it; undefined in another workspace. */
    byId(workspaceId: string, id: string): Promise<JobRow | undefined> {
      return database
        .selectFrom('jobs')
        .selectAll()
        .where('id', '=', id)
        .where('workspaceId', '=', workspaceId)
        .executeTakeFirst();
    },

    /** The newest job that the same caller made by the same body without an Idempotency-Key, if it is young enough. */
    byRequest(create: EarlierCreate): Promise<JobRow | undefined> {
      return database
        .selectFrom('jobs')
        .selectAll()
        .where('workspaceId', '=', create.workspaceId)
        .where('apiKeyId', '=', create.apiKeyId)
        .where('requestHash', '=', create.requestHash)
        .where('idempotencyKey', 'is', null)
        .where(sql<boolean>`created_at > clock_timestamp() - make_interval(secs => ${create.withinMs / 1000})`)
        .orderBy('createdAt', 'desc')
        .limit(1)
        .executeTakeFirst();
    },
  };
}
