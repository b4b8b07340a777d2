import { sql, type RawBuilder } from 'kysely';

const DAY_SECONDS = 24 * 60 * 60;

/**
 * When a row of `files` expires: at its own `expires_at` or, if that is earlier, so many days after it was made. Computed
 * at each read, so that a change of the setting is true of the files that are there. Null: never.
 */
export function effectiveExpiry(retentionDays: number | null): RawBuilder<Date | null> {
  if (retentionDays === null) return sql<Date | null>`files.expires_at`;
  // Seconds and not days: how long a day is must not depend on the session's time zone. LEAST leaves NULLs out.
  return sql<Date | null>`least(files.expires_at, files.created_at + make_interval(secs => ${retentionDays * DAY_SECONDS}))`;
}

export function notExpired(retentionDays: number | null): RawBuilder<boolean> {
  const expiry = effectiveExpiry(retentionDays);
  return retentionDays === null
    ? sql<boolean>`(files.expires_at IS NULL OR files.expires_at > now())`
    : sql<boolean>`${expiry} > now()`;
}
