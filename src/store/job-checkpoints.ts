import { sql, type Selectable } from 'kysely';
import type { RemoteCheckpoint } from '../domain/provider-port.js';
import type { Database } from './database.js';
import { newId } from './new-id.js';
import type { JobCheckpointsTable } from './schema.js';

export type JobCheckpointRow = Selectable<JobCheckpointsTable>;
export type JobCheckpointsRepository = ReturnType<typeof createJobCheckpointsRepository>;

/** Checkpoints of jobs, mirrored from the provider once each. */
export function createJobCheckpointsRepository(database: Database) {
  return {
    /** Adds those that the job does not have yet. */
    async add(jobId: string, checkpoints: readonly RemoteCheckpoint[]): Promise<void> {
      if (checkpoints.length === 0) return;
      await database
        .insertInto('jobCheckpoints')
        .values(
          checkpoints.map((checkpoint) => ({
            id: newId('ftckpt_'),
            jobId,
            sourceId: checkpoint.id,
            createdAt: new Date(checkpoint.createdAt),
            stepNumber: checkpoint.stepNumber,
            fineTunedModelCheckpoint: checkpoint.fineTunedModelCheckpoint,
            metrics: JSON.stringify(checkpoint.metrics),
          })),
        )
        .onConflict((conflict) => conflict.columns(['jobId', 'sourceId']).doNothing())
        .execute();
    },

    /** Latest step first; undefined where `after` is no checkpoint of the job. */
    async list(
      jobId: string,
      page: { readonly after: string | null; readonly limit: number },
    ): Promise<{ readonly rows: readonly JobCheckpointRow[]; readonly hasMore: boolean } | undefined> {
      let query = database
        .selectFrom('jobCheckpoints')
        .selectAll()
        .where('jobId', '=', jobId)
        .orderBy('stepNumber', 'desc')
        .orderBy('id', 'desc')
        .limit(page.limit + 1);
      if (page.after !== null) {
        const cursor = await database
          .selectFrom('jobCheckpoints')
          .select(['stepNumber', 'id'])
          .where('jobId', '=', jobId)
          .where('id', '=', page.after)
          .executeTakeFirst();
        if (cursor === undefined) return undefined;
        query = query.where(sql<boolean>`(step_number, id) < (${cursor.stepNumber}, ${cursor.id})`);
      }
      const rows = await query.execute();
      return { rows: rows.slice(0, page.limit), hasMore: rows.length > page.limit };
    },
  };
}
