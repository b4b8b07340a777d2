import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { DatasetRole, RemoteFiles } from '../domain/job.js';
import type { JsonValue } from '../domain/json.js';
import type { Database } from './database.js';
import type { HalfDoneUpload } from './schema.js';

/** The right to upload one dataset of a job, and what the provider's adapter saved last. */
export interface UploadClaim {
  readonly id: string;
  readonly role: DatasetRole;
  /** Null where nothing half-done is at the provider. */
  readonly saved: JsonValue;
}

export type JobUploadsRepository = ReturnType<typeof createJobUploadsRepository>;

const NOW_MS = sql<Date>`date_trunc('milliseconds', clock_timestamp())`;
const OPEN = sql<boolean>`status NOT IN ('succeeded', 'failed', 'cancelled')`;
const ROLES: readonly DatasetRole[] = ['training', 'validation'];

/**
 * The columns of `jobs` that the upload of datasets and their removal alone write: what the provider has, and what it
 * has half. Two attempts of one activity can overlap for a moment, so each claims the dataset before it begins, and a
 * write under a claim that a later one has replaced changes nothing.
 */
export function createJobUploadsRepository(database: Database) {
  return {
    /**
     * Claims a dataset before the first byte goes out: from here on the provider may have a file that no row names.
     * Null where the provider has the dataset already, and where the job has ended.
     */
    async claim(jobId: string, role: DatasetRole): Promise<UploadClaim | null> {
      const id = randomUUID();
      const row = await database
        .updateTable('jobs')
        .set({
          uploadAttemptedAt: sql`coalesce(upload_attempted_at, ${NOW_MS})`,
          uploadProgress: sql<string>`upload_progress || jsonb_build_object(${role}::text,
            jsonb_build_object('claim', ${id}::text, 'saved', upload_progress -> ${role}::text -> 'saved'))`,
        })
        .where('id', '=', jobId)
        .where(OPEN)
        .where(sql<boolean>`remote_files -> ${role}::text IS NULL`)
        .returning('uploadProgress')
        .executeTakeFirst();
      return row === undefined ? null : { id, role, saved: row.uploadProgress[role]?.saved ?? null };
    },

    /** Keeps how far the upload has come; null once nothing half-done is left. False where the claim is lost. */
    async save(jobId: string, claim: UploadClaim, saved: JsonValue): Promise<boolean> {
      const value = JSON.stringify({ claim: claim.id, saved } satisfies HalfDoneUpload);
      const row = await database
        .updateTable('jobs')
        .set({
          uploadProgress: sql<string>`upload_progress || jsonb_build_object(${claim.role}::text, ${value}::jsonb)`,
        })
        .where('id', '=', jobId)
        .where(isHeld(claim))
        .returning('id')
        .executeTakeFirst();
      return row !== undefined;
    },

    /** The provider has the whole dataset: nothing of it is half-done any more. False where the claim is lost. */
    async recordRemoteFile(jobId: string, claim: UploadClaim, remoteFileId: string): Promise<boolean> {
      const addition = JSON.stringify({ [claim.role]: remoteFileId } satisfies RemoteFiles);
      const row = await database
        .updateTable('jobs')
        .set({
          remoteFiles: sql`remote_files || ${addition}::jsonb`,
          uploadProgress: sql<string>`upload_progress - ${claim.role}::text`,
        })
        .where('id', '=', jobId)
        .where(isHeld(claim))
        .returning('id')
        .executeTakeFirst();
      return row !== undefined;
    },

    async forgetRemoteFile(jobId: string, role: DatasetRole): Promise<void> {
      await database
        .updateTable('jobs')
        .set({ remoteFiles: sql`remote_files - ${role}::text` })
        .where('id', '=', jobId)
        .execute();
    },

    /** Claims every dataset of which something may be half-done, from whatever attempt still writes; also of an ended job. */
    async claimHalfDone(jobId: string): Promise<readonly UploadClaim[]> {
      return database.transaction().execute(async (transaction) => {
        const row = await transaction
          .selectFrom('jobs')
          .select('uploadProgress')
          .where('id', '=', jobId)
          .forUpdate()
          .executeTakeFirst();
        const claims = ROLES.flatMap((role): UploadClaim[] => {
          const halfDone = row?.uploadProgress[role];
          return halfDone === undefined ? [] : [{ id: randomUUID(), role, saved: halfDone.saved }];
        });
        if (claims.length === 0) return claims;
        const uploadProgress = Object.fromEntries(
          claims.map(({ id, role, saved }) => [role, { claim: id, saved } satisfies HalfDoneUpload]),
        );
        await transaction
          .updateTable('jobs')
          .set({ uploadProgress: JSON.stringify(uploadProgress) })
          .where('id', '=', jobId)
          .execute();
        return claims;
      });
    },
  };
}

function isHeld({ id, role }: UploadClaim) {
  return sql<boolean>`upload_progress -> ${role}::text ->> 'claim' = ${id}`;
}
