import { sql, type Kysely, type Selectable } from 'kysely';
import type { JobsTable, Tables } from './schema.js';

export interface SameCreate {
  readonly workspaceId: string;
  readonly apiKeyId: string;
  readonly requestHash: string;
  readonly withinMs: number;
}

/** What a library's own retry means: the newest job of the same caller and body, without an Idempotency-Key. */
export function findSameCreate(
  executor: Kysely<Tables>,
  create: SameCreate,
): Promise<Selectable<JobsTable> | undefined> {
  return executor
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
}
