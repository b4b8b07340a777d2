import { sql, type RawBuilder, type Selectable, type Transaction } from 'kysely';
import { GatewayError } from '../domain/errors.js';
import type { JobObservation, JobRequest, JobState, StateVersion } from '../domain/job.js';
import { advanceStatus, isTerminal } from '../domain/job-state.js';
import type { Recorded } from '../domain/activities.js';
import type { ProviderName } from '../domain/provider-name.js';
import { safeJson } from '../domain/safe-text.js';
import type { Database } from './database.js';
import { notExpired } from './file-expiry.js';
import { insertEvents, type NewJobEvent } from './job-events.js';
import { findSameCreate, type SameCreate } from './same-create.js';
import type { JobsTable, Tables } from './schema.js';

export type JobRow = Selectable<JobsTable>;

export interface NewJob {
  readonly id: string;
  readonly workspaceId: string;
  readonly apiKeyId: string;
  readonly provider: ProviderName;
  readonly virtualKeyId: string;
  readonly virtualKeySlug: string;
  readonly sandbox: boolean;
  readonly request: JobRequest;
  readonly requestHash: string;
  readonly idempotencyKey: string | null;
  readonly sealedOptions: Buffer | null;
}

export interface InsertOptions {
  /** Set for a client's own retry without a key: an equal create of this age or younger is the same one. */
  readonly sameWithinMs: number | null;
  /** The job's first state and event. */
  readonly state: JobState;
  readonly firstEvent: NewJobEvent;
  /** False once the caller has gone: then nothing is made. */
  readonly stillWanted: () => boolean;
}

export type InsertOutcome =
  { readonly outcome: 'created' | 'existing'; readonly row: JobRow } | { readonly outcome: 'abandoned' };

/** The files of a request, by their ids. */
type DatasetFiles = Pick<NewJob['request'], 'trainingFile'> & { readonly validationFile?: string | undefined };

export type JobsRepository = ReturnType<typeof createJobsRepository>;

const OPEN = sql<boolean>`status NOT IN ('succeeded', 'failed', 'cancelled')`;
const NOW_MS = sql<Date>`date_trunc('milliseconds', clock_timestamp())`;

export interface JobsRepositoryOptions {
  /** As the file repository's `retentionDays`: what has expired for a caller is no file for a new job. */
  readonly fileRetentionDays?: number | null;
}

/** Rows of `jobs`. Each group of columns has one writer; see the schema. */
export function createJobsRepository(database: Database, { fileRetentionDays = null }: JobsRepositoryOptions = {}) {
  const fileIsThere = notExpired(fileRetentionDays);
  return {
    /**
     * Commits a job and its first event, once. Creates of one workspace with the same body wait for each other,
     * so that a retry sees what the attempt before it made. Fails with `invalid_training_file` where a file is gone.
     */
    insert(job: NewJob, options: InsertOptions): Promise<InsertOutcome> {
      return database.transaction().execute(async (transaction): Promise<InsertOutcome> => {
        const lockKey = JSON.stringify([job.workspaceId, job.requestHash]);
        await sql`SELECT pg_advisory_xact_lock(hashtextextended(${lockKey}, 0))`.execute(transaction);
        if (options.sameWithinMs !== null) {
          const same = await findSameCreate(transaction, { ...job, withinMs: options.sameWithinMs });
          if (same !== undefined) return { outcome: 'existing', row: same };
        }
        const earlier = await transaction.selectFrom('jobs').selectAll().where('id', '=', job.id).executeTakeFirst();
        if (earlier !== undefined) return { outcome: 'existing', row: earlier };
        await lockVirtualKey(transaction, job);
        await lockFiles(transaction, job.workspaceId, job.request, fileIsThere);
        if (!options.stillWanted()) return { outcome: 'abandoned' };
        const row = await transaction
          .insertInto('jobs')
          .values({
            ...job,
            request: JSON.stringify(job.request),
            trainingFile: job.request.trainingFile,
            validationFile: job.request.validationFile ?? null,
            status: options.state.status,
            phase: options.state.phase,
            resultFiles: '[]',
            remoteFiles: '{}',
          })
          .onConflict((conflict) => conflict.column('id').doNothing())
          .returningAll()
          .executeTakeFirst();
        if (row === undefined) {
          const winner = await transaction
            .selectFrom('jobs')
            .selectAll()
            .where('id', '=', job.id)
            .executeTakeFirstOrThrow();
          return { outcome: 'existing', row: winner };
        }
        await insertEvents(transaction, row.id, [options.firstEvent]);
        return { outcome: 'created', row };
      });
    },

    /** The job of a workspace; undefined for another one's, as for an unknown id. */
    find(workspaceId: string, id: string): Promise<JobRow | undefined> {
      return database
        .selectFrom('jobs')
        .selectAll()
        .where('id', '=', id)
        .where('workspaceId', '=', workspaceId)
        .executeTakeFirst();
    },

    /** The newest job that the same caller made by the same body without an Idempotency-Key, if it is young enough. */
    findSame(create: SameCreate): Promise<JobRow | undefined> {
      return findSameCreate(database, create);
    },

    /** Fails with `invalid_training_file` where a file of the request is not there, or not for fine-tuning. */
    async requireFiles(workspaceId: string, files: DatasetFiles): Promise<void> {
      await database.transaction().execute((transaction) => lockFiles(transaction, workspaceId, files, fileIsThere));
    },

    /** For activities, which get the id from their own workflow. A missing row is retryable: it can be restored. */
    async get(id: string): Promise<JobRow> {
      const row = await database.selectFrom('jobs').selectAll().where('id', '=', id).executeTakeFirst();
      return row ?? rowMissing(id);
    },

    /** Newest first, after the job `after`; `metadata` null means jobs without any. One more than `limit` is fetched. */
    async list(
      workspaceId: string,
      page: {
        readonly after: JobRow | null;
        readonly limit: number;
        readonly metadata: Readonly<Record<string, string>> | null | undefined;
      },
    ): Promise<{ readonly rows: readonly JobRow[]; readonly hasMore: boolean }> {
      let query = database
        .selectFrom('jobs')
        .selectAll()
        .where('workspaceId', '=', workspaceId)
        .orderBy('createdAt', 'desc')
        .orderBy('id', 'desc')
        .limit(page.limit + 1);
      if (page.after !== null) {
        query = query.where(sql<boolean>`(created_at, id) < (${page.after.createdAt}, ${page.after.id})`);
      }
      if (page.metadata === null) {
        query = query.where(sql<boolean>`coalesce(request::jsonb -> 'metadata', '{}'::jsonb) = '{}'::jsonb`);
      } else if (page.metadata !== undefined) {
        query = query.where(sql<boolean>`request::jsonb -> 'metadata' @> ${JSON.stringify(page.metadata)}::jsonb`);
      }
      const rows = await query.execute();
      return { rows: rows.slice(0, page.limit), hasMore: rows.length > page.limit };
    },

    /**
     * Writes the workflow's state. Within a run a lower sequence never wins; a new run wins over the stored one and a
     * replaced run never again; the status never goes back, and a terminal row stays. Returns what the row says.
     */
    recordState(id: string, version: StateVersion, change: Partial<JobState>): Promise<Recorded> {
      return database.transaction().execute(async (transaction) => {
        const row = await transaction
          .selectFrom('jobs')
          .select(['status', 'phase', 'stateRunId', 'stateSequence', 'replacedRunIds'])
          .where('id', '=', id)
          .forUpdate()
          .executeTakeFirst();
        if (row === undefined) return rowMissing(id);
        const current = { status: row.status, phase: row.phase };
        if (!isNewer(version, row) || isTerminal(row.status)) return current;
        const status = advanceStatus(row.status, change.status ?? row.status);
        const replaced = row.stateRunId !== null && row.stateRunId !== version.runId;
        const written = await transaction
          .updateTable('jobs')
          .set({
            status,
            stateRunId: version.runId,
            stateSequence: version.sequence,
            updatedAt: sql`clock_timestamp()`,
            ...(replaced ? { replacedRunIds: sql`array_append(replaced_run_ids, ${row.stateRunId})` } : {}),
            ...stateColumns(change),
          })
          .where('id', '=', id)
          .returning(['status', 'phase'])
          .executeTakeFirstOrThrow();
        return written;
      });
    },

    /** Writes what was seen at the provider while the job is open; keys that are absent stay as they are. */
    async recordObservation(id: string, seen: Partial<JobObservation>): Promise<void> {
      const changes = observationColumns(seen);
      if (Object.keys(changes).length === 0) return;
      await database.updateTable('jobs').set(changes).where('id', '=', id).where(OPEN).execute();
    },

    /** Notes that the provider cannot be reached, keeping the first time. */
    async recordUnreachable(id: string, seen: Partial<JobObservation>): Promise<void> {
      await database
        .updateTable('jobs')
        .set({
          ...observationColumns(seen),
          providerUnreachableSince: sql`coalesce(provider_unreachable_since, ${NOW_MS})`,
        })
        .where('id', '=', id)
        .where(OPEN)
        .execute();
    },

    async markWorkflowStarted(id: string): Promise<void> {
      await database
        .updateTable('jobs')
        .set({ workflowStartedAt: sql`coalesce(workflow_started_at, clock_timestamp())` })
        .where('id', '=', id)
        .execute();
    },

    /** Sets `cancel_requested_at` on an open job. Returns the row; undefined where the workspace has no such job. */
    async requestCancel(workspaceId: string, id: string): Promise<JobRow | undefined> {
      const row = await database
        .updateTable('jobs')
        .set({ cancelRequestedAt: sql`coalesce(cancel_requested_at, ${NOW_MS})` })
        .where('id', '=', id)
        .where('workspaceId', '=', workspaceId)
        .where(OPEN)
        .returningAll()
        .executeTakeFirst();
      return row ?? this.find(workspaceId, id);
    },

    async markCancelRequested(id: string): Promise<void> {
      await database
        .updateTable('jobs')
        .set({ cancelRequestedAt: sql`coalesce(cancel_requested_at, ${NOW_MS})` })
        .where('id', '=', id)
        .where(OPEN)
        .execute();
    },

    /**
     * Open jobs that the reconciler must look at: accepted without a run, cancelled without an acknowledgement, or with
     * observations overdue. Least recently written first.
     */
    async listNeglected(options: { readonly graceMs: number; readonly limit: number }): Promise<readonly JobRow[]> {
      const grace = sql`make_interval(secs => ${options.graceMs / 1000})`;
      return database
        .selectFrom('jobs')
        .selectAll()
        .where(OPEN)
        .where(
          sql<boolean>`(
            (workflow_started_at IS NULL AND created_at < clock_timestamp() - ${grace})
            OR (cancel_requested_at < clock_timestamp() - ${grace} AND phase NOT IN ('cancelling', 'collecting', 'finished'))
            OR (greatest(next_poll_at, updated_at) < clock_timestamp() - ${grace})
          )`,
        )
        .orderBy('updatedAt')
        .orderBy('id')
        .limit(options.limit)
        .execute();
    },

    /** Puts a row at the end of the reconciler's order, once it was looked at. */
    async touch(id: string): Promise<void> {
      await database
        .updateTable('jobs')
        .set({ updatedAt: sql`clock_timestamp()` })
        .where('id', '=', id)
        .execute();
    },
  };
}

function isNewer(version: StateVersion, row: Pick<JobRow, 'stateRunId' | 'stateSequence' | 'replacedRunIds'>): boolean {
  if (row.stateRunId === null) return true;
  if (row.stateRunId === version.runId) return version.sequence >= row.stateSequence;
  return !row.replacedRunIds.includes(version.runId);
}

function stateColumns(change: Partial<JobState>) {
  return {
    ...(change.phase === undefined ? {} : { phase: change.phase }),
    ...(change.error === undefined ? {} : { error: change.error === null ? null : safeJson(change.error) }),
    ...(change.fineTunedModel === undefined ? {} : { fineTunedModel: change.fineTunedModel }),
    ...(change.trainedTokens === undefined ? {} : { trainedTokens: change.trainedTokens }),
    ...(change.resultFiles === undefined ? {} : { resultFiles: JSON.stringify(change.resultFiles) }),
    ...(change.finishedAt === undefined ? {} : { finishedAt: date(change.finishedAt) }),
  };
}

function observationColumns(seen: Partial<JobObservation>) {
  return {
    ...(seen.rawStatus === undefined ? {} : { rawStatus: seen.rawStatus }),
    ...(seen.progress === undefined ? {} : { progress: json(seen.progress) }),
    ...(seen.hyperparameters === undefined ? {} : { resolvedHyperparameters: json(seen.hyperparameters) }),
    ...(seen.estimatedFinish === undefined ? {} : { estimatedFinish: date(seen.estimatedFinish) }),
    ...(seen.nextPollAt === undefined ? {} : { nextPollAt: date(seen.nextPollAt) }),
    ...(seen.providerUnreachableSince === undefined
      ? {}
      : { providerUnreachableSince: date(seen.providerUnreachableSince) }),
    ...(seen.lastError === undefined ? {} : { lastError: json(seen.lastError) }),
  };
}

const date = (iso: string | null): Date | null => (iso === null ? null : new Date(iso));
const json = (value: object | null): string | null => (value === null ? null : safeJson(value));

/** Keeps the key from being deleted until the job is committed; after that the open job keeps it. */
async function lockVirtualKey(transaction: Transaction<Tables>, job: NewJob): Promise<void> {
  const key = await transaction
    .selectFrom('virtualKeys')
    .select('id')
    .where('id', '=', job.virtualKeyId)
    .where('workspaceId', '=', job.workspaceId)
    .where('deletedAt', 'is', null)
    .forShare()
    .executeTakeFirst();
  if (key !== undefined) return;
  throw new GatewayError('unknown_virtual_key', `The virtual key '${job.virtualKeySlug}' was deleted meanwhile.`);
}

/** Keeps the files from being deleted until the job is committed; after that the open job keeps them. */
async function lockFiles(
  transaction: Transaction<Tables>,
  workspaceId: string,
  files: DatasetFiles,
  fileIsThere: RawBuilder<boolean>,
): Promise<void> {
  const named = { training_file: files.trainingFile, validation_file: files.validationFile };
  for (const [param, id] of Object.entries(named)) {
    if (id === undefined) continue;
    const file = await transaction
      .selectFrom('files')
      .select('purpose')
      .where('id', '=', id)
      .where('workspaceId', '=', workspaceId)
      .where(fileIsThere)
      .forShare()
      .executeTakeFirst();
    if (file === undefined) throw new GatewayError('invalid_training_file', `invalid ${param}: ${id}`, { param });
    if (file.purpose !== 'fine-tune') {
      const message = `invalid ${param}: ${id} has the purpose '${file.purpose}'; it must be 'fine-tune'.`;
      throw new GatewayError('invalid_training_file', message, { param });
    }
  }
}

/** Retryable: the row can be restored from a backup, or come back from its workflow. */
export function rowMissing(id: string): never {
  throw new GatewayError('internal_error', `The row of job ${id} is missing from the database.`, { retryable: true });
}
