import { sql, type Kysely } from 'kysely';

/** Uploads in parts, and how far an upload to a provider has come. */
export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE uploads (
      id text PRIMARY KEY,
      workspace_id text NOT NULL REFERENCES workspaces (id),
      filename text NOT NULL,
      purpose text NOT NULL,
      mime_type text NOT NULL,
      size_bytes bigint NOT NULL,
      expires_after_seconds integer,
      status text NOT NULL DEFAULT 'pending',
      created_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
      expires_at timestamptz NOT NULL,
      file_id text,
      md5 text
    )`.execute(database);
  await sql`CREATE INDEX uploads_pending ON uploads (expires_at) WHERE status = 'pending'`.execute(database);
  // A part's content lies in the file store under the part's id, and stays there when the upload is complete: the file
  // is its parts by position.
  await sql`
    CREATE TABLE upload_parts (
      id text PRIMARY KEY,
      upload_id text NOT NULL REFERENCES uploads (id),
      size_bytes bigint NOT NULL,
      sha256 text NOT NULL,
      position integer,
      created_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp())
    )`.execute(database);
  await sql`CREATE INDEX upload_parts_by_upload ON upload_parts (upload_id, position)`.execute(database);
  await sql`ALTER TABLE files ADD COLUMN upload_id text REFERENCES uploads (id)`.execute(database);
  await sql`ALTER TABLE jobs ADD COLUMN upload_progress jsonb NOT NULL DEFAULT '{}'`.execute(database);
}
