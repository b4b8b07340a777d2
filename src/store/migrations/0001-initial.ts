import { sql, type Kysely } from 'kysely';

/** The tables of the first release. */
export async function up(database: Kysely<unknown>): Promise<void> {
  await sql`
    CREATE TABLE workspaces (
      id text PRIMARY KEY,
      name text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now()
    )`.execute(database);
  await sql`
    CREATE TABLE api_keys (
      id text PRIMARY KEY,
      workspace_id text NOT NULL REFERENCES workspaces (id),
      name text NOT NULL,
      key_hash bytea NOT NULL UNIQUE,
      created_at timestamptz NOT NULL DEFAULT now(),
      revoked_at timestamptz
    )`.execute(database);
  await sql`
    CREATE TABLE virtual_keys (
      id text PRIMARY KEY,
      workspace_id text NOT NULL REFERENCES workspaces (id),
      slug text NOT NULL,
      name text NOT NULL,
      provider text NOT NULL,
      note text,
      sandbox boolean NOT NULL DEFAULT false,
      is_default boolean NOT NULL DEFAULT false,
      settings jsonb NOT NULL,
      sealed_settings bytea NOT NULL,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      deleted_at timestamptz
    )`.execute(database);
  await sql`
    CREATE UNIQUE INDEX virtual_keys_by_slug ON virtual_keys (workspace_id, slug)
    WHERE deleted_at IS NULL`.execute(database);
  await sql`
    CREATE TABLE files (
      id text PRIMARY KEY,
      workspace_id text NOT NULL REFERENCES workspaces (id),
      filename text NOT NULL,
      purpose text NOT NULL,
      size_bytes bigint NOT NULL,
      sha256 text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
      expires_at timestamptz
    )`.execute(database);
  await sql`CREATE INDEX files_by_age ON files (workspace_id, created_at, id)`.execute(database);
  await sql`
    CREATE TABLE jobs (
      id text PRIMARY KEY,
      workspace_id text NOT NULL REFERENCES workspaces (id),
      api_key_id text NOT NULL,
      created_at timestamptz NOT NULL DEFAULT date_trunc('milliseconds', clock_timestamp()),
      updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
      provider text NOT NULL,
      virtual_key_id text NOT NULL,
      virtual_key_slug text NOT NULL,
      sandbox boolean NOT NULL,
      -- json, not jsonb: the order of keys in a schema of the caller's has a meaning.
      request json NOT NULL,
      request_hash text NOT NULL,
      idempotency_key text,
      sealed_options bytea,
      training_file text NOT NULL,
      validation_file text,

      status text NOT NULL,
      phase text NOT NULL,
      error jsonb,
      fine_tuned_model text,
      trained_tokens bigint,
      result_files jsonb NOT NULL DEFAULT '[]',
      finished_at timestamptz,
      state_run_id text,
      state_sequence integer NOT NULL DEFAULT 0,
      replaced_run_ids text[] NOT NULL DEFAULT '{}',

      workflow_started_at timestamptz,
      cancel_requested_at timestamptz,

      upload_attempted_at timestamptz,
      submit_attempted_at timestamptz,
      provider_job_id text,
      submitted_at timestamptz,
      remote_files jsonb NOT NULL DEFAULT '{}',

      raw_status text,
      progress jsonb,
      resolved_hyperparameters jsonb,
      estimated_finish timestamptz,
      next_poll_at timestamptz,
      provider_unreachable_since timestamptz,
      last_error jsonb,

      next_event_sequence bigint NOT NULL DEFAULT 1
    )`.execute(database);
  await sql`CREATE INDEX jobs_by_age ON jobs (workspace_id, created_at, id)`.execute(database);
  await sql`CREATE INDEX jobs_by_metadata ON jobs USING gin ((request::jsonb -> 'metadata') jsonb_path_ops)`.execute(
    database,
  );
  await sql`CREATE INDEX jobs_by_request ON jobs (workspace_id, request_hash, created_at)`.execute(database);
  await sql`CREATE UNIQUE INDEX jobs_by_provider_job ON jobs (provider, provider_job_id)`.execute(database);
  await sql`
    CREATE INDEX jobs_open ON jobs (updated_at, id)
    WHERE status NOT IN ('succeeded', 'failed', 'cancelled')`.execute(database);
  await sql`CREATE INDEX jobs_by_training_file ON jobs (training_file)`.execute(database);
  await sql`CREATE INDEX jobs_by_validation_file ON jobs (validation_file) WHERE validation_file IS NOT NULL`.execute(
    database,
  );
  await sql`
    CREATE TABLE job_events (
      id text PRIMARY KEY,
      job_id text NOT NULL REFERENCES jobs (id),
      sequence bigint NOT NULL,
      source_id text NOT NULL,
      created_at timestamptz NOT NULL,
      level text NOT NULL,
      type text NOT NULL,
      message text NOT NULL,
      data jsonb,
      UNIQUE (job_id, sequence),
      UNIQUE (job_id, source_id)
    )`.execute(database);
  await sql`
    CREATE TABLE job_checkpoints (
      id text PRIMARY KEY,
      job_id text NOT NULL REFERENCES jobs (id),
      source_id text NOT NULL,
      created_at timestamptz NOT NULL,
      step_number integer NOT NULL,
      fine_tuned_model_checkpoint text NOT NULL,
      metrics jsonb NOT NULL,
      UNIQUE (job_id, source_id)
    )`.execute(database);
  await sql`CREATE INDEX job_checkpoints_by_step ON job_checkpoints (job_id, step_number, id)`.execute(database);
  await sql`CREATE TABLE installation (key text PRIMARY KEY, value text NOT NULL)`.execute(database);
}
