import { sql } from 'kysely';
import type { Database } from './database.js';
import { rowMissing } from './jobs.js';

/** The submit activity's view of earlier attempts; ages are measured by the database's clock alone. */
export interface SubmitAttempt {
  readonly attemptedAt: Date | null;
  readonly ageMs: number | null;
  readonly providerJobId: string | null;
}

export type JobSubmissionsRepository = ReturnType<typeof createJobSubmissionsRepository>;

const NOW_MS = sql<Date>`date_trunc('milliseconds', clock_timestamp())`;

/** The columns of `jobs` that the submit activity alone writes: when it last began a create, and the provider's job. */
export function createJobSubmissionsRepository(database: Database) {
  return {
    /** The earlier create, if one was ever begun. */
    async submitAttempt(id: string): Promise<SubmitAttempt> {
      const row = await database
        .selectFrom('jobs')
        .select([
          'submitAttemptedAt',
          'providerJobId',
          sql<number | null>`extract(epoch FROM clock_timestamp() - submit_attempted_at)::float8 * 1000`.as('ageMs'),
        ])
        .where('id', '=', id)
        .executeTakeFirst();
      if (row === undefined) return rowMissing(id);
      return { attemptedAt: row.submitAttemptedAt, ageMs: row.ageMs, providerJobId: row.providerJobId };
    },

    /** Claims the right to create: the time of the claim for one of those who saw the same earlier attempt, else null. */
    async claimSubmit(id: string, earlier: Date | null): Promise<Date | null> {
      const row = await database
        .updateTable('jobs')
        .set({ submitAttemptedAt: NOW_MS })
        .where('id', '=', id)
        .where('providerJobId', 'is', null)
        .where('submitAttemptedAt', earlier === null ? 'is' : '=', earlier)
        .returning('submitAttemptedAt')
        .executeTakeFirst();
      return row?.submitAttemptedAt ?? null;
    },

    /** Binds the provider's job to the row, once. Returns the id that the row has; null where another row has that job. */
    async bindProviderJob(id: string, providerJobId: string, submittedAt: string): Promise<string | null> {
      return database.transaction().execute(async (transaction) => {
        const row = await transaction
          .selectFrom('jobs')
          .select('providerJobId')
          .where('id', '=', id)
          .forUpdate()
          .executeTakeFirst();
        if (row === undefined) return rowMissing(id);
        if (row.providerJobId !== null) return row.providerJobId;
        const owner = await transaction
          .selectFrom('jobs as owner')
          .innerJoin('jobs as mine', 'mine.provider', 'owner.provider')
          .select('owner.id')
          .where('mine.id', '=', id)
          .where('owner.providerJobId', '=', providerJobId)
          .executeTakeFirst();
        if (owner !== undefined) return null;
        await transaction
          .updateTable('jobs')
          .set({ providerJobId, submittedAt: new Date(submittedAt) })
          .where('id', '=', id)
          .execute();
        return providerJobId;
      });
    },

    /** Whether another row has this job of the same provider. */
    async isBoundElsewhere(id: string, providerJobId: string): Promise<boolean> {
      const owner = await database
        .selectFrom('jobs as owner')
        .innerJoin('jobs as mine', 'mine.provider', 'owner.provider')
        .select('owner.id')
        .where('mine.id', '=', id)
        .where('owner.id', '!=', id)
        .where('owner.providerJobId', '=', providerJobId)
        .executeTakeFirst();
      return owner !== undefined;
    },

    /** Takes a claim back where the provider has answered that it made no job. */
    async releaseSubmit(id: string, claimedAt: Date, earlier: Date | null): Promise<void> {
      await database
        .updateTable('jobs')
        .set({ submitAttemptedAt: earlier })
        .where('id', '=', id)
        .where('submitAttemptedAt', '=', claimedAt)
        .where('providerJobId', 'is', null)
        .execute();
    },
  };
}
