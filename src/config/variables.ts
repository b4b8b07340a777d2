import { z } from 'zod';
import { LOG_LEVELS } from '../observability/logger.js';

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

const POSITIVE = 'must be greater than 0';
const WHOLE = 'must be a whole number';
const PORT_RANGE = 'must be from 0 to 65535';
const port = z.coerce.number<string>('must be a port number').int(WHOLE).min(0, PORT_RANGE).max(65_535, PORT_RANGE);
const positive = z.coerce.number<string>('must be a number').positive(POSITIVE);
const scale = positive.max(100, 'must be at most 100');
const bytes = z.coerce.number<string>('must be a number of bytes').int(WHOLE).positive(POSITIVE);

/** One variable: how it is read, its default, and what `docs/configuration.md` says of it. */
interface Variable<Schema extends z.ZodType> {
  readonly schema: Schema;
  readonly default: string;
  readonly meaning: string;
}

const variable = <Schema extends z.ZodType>(schema: Schema, byDefault: string, meaning: string): Variable<Schema> => ({
  schema,
  default: byDefault,
  meaning,
});

/**
 * Every variable that we read, apart from Temporal's own (`TEMPORAL_*`, read by its library) and the secrets. The
 * default is text for people; an empty variable is an absent one.
 */
export const VARIABLES = {
  PORT: variable(port.default(8787), '8787', 'Port of the gateway; 0 takes a free one.'),
  HOST: variable(z.string().default('127.0.0.1'), '127.0.0.1', 'Address that the gateway listens on.'),
  TUNESMITH_HOME: variable(z.string().default('.tunesmith'), '.tunesmith', 'Directory of an embedded start.'),
  DATABASE_URL: variable(
    z
      .url({ protocol: /^postgres(ql)?$/, error: 'must look like postgresql://user:password@host:5432/database' })
      .optional(),
    'embedded PostgreSQL',
    'PostgreSQL to use. Required by `tunesmith gateway` and `tunesmith worker`.',
  ),
  FILE_STORE: variable(
    z
      .string()
      .regex(/^(file:.|s3:\/\/[^/?#]+(\/[^?#]*)?$)/, 'must be file:/an/absolute/path or s3://bucket/prefix')
      .optional(),
    'file:$TUNESMITH_HOME/files',
    'Where file content is kept: `file:/path`, shared by all processes, or `s3://bucket/prefix`. Required by `gateway` and `worker`.',
  ),
  FILE_STORE_S3_ENDPOINT: variable(
    z.url({ protocol: /^https?$/, error: 'must look like https://s3.example.com' }).optional(),
    "AWS's own",
    'Address of an S3-compatible server.',
  ),
  FILE_STORE_S3_REGION: variable(z.string().default('us-east-1'), 'us-east-1', 'Region of the bucket of `FILE_STORE`.'),
  FILE_STORE_S3_PATH_STYLE: variable(
    z.stringbool('must be true or false').optional(),
    'true with `FILE_STORE_S3_ENDPOINT`, else false',
    'Whether the bucket stands in the path of an address and not in its host name.',
  ),
  FILE_STORE_S3_ENCRYPTION: variable(
    z.enum(['AES256', 'aws:kms', 'aws:kms:dsse']).optional(),
    "the bucket's own setting",
    'Server-side encryption to ask for: `AES256`, `aws:kms`, `aws:kms:dsse`.',
  ),
  FILE_STORE_S3_KMS_KEY_ID: variable(
    z.string().optional(),
    "AWS's key for S3",
    'Key of the encryption with KMS: id, ARN or alias.',
  ),
  FILE_STORE_SPOOL: variable(
    z.string().optional(),
    '$TUNESMITH_HOME/spool',
    'With an `s3:` store: a directory of this process where content waits on its way to S3; not one in memory.',
  ),
  TEMPORAL_ADDRESS: variable(
    z.string().optional(),
    'embedded Temporal',
    'host:port of a Temporal server. Required by `gateway` and `worker`.',
  ),
  TEMPORAL_NAMESPACE: variable(z.string().default('default'), 'default', 'Temporal namespace.'),
  TEMPORAL_PORT: variable(port.default(7233), '7233', 'Port of the embedded Temporal server; 0 takes a free one.'),
  TEMPORAL_UI_PORT: variable(port.default(8233), '8233', 'Port of its Web UI; 0 takes a free one.'),
  TEMPORAL_TASK_QUEUE_PREFIX: variable(
    z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,100}$/, 'must be 1 to 100 letters, digits, ".", "_" or "-"')
      .default('tunesmith'),
    'tunesmith',
    'Prefix of the task queues and of the schedule: two installations in one namespace differ in it.',
  ),
  EMULATORS_PORT: variable(port.default(8788), '8788', 'Port of the provider emulators; 0 takes a free one.'),
  LOG_LEVEL: variable(z.enum(LOG_LEVELS).default('info'), 'info', `One of ${LOG_LEVELS.join(', ')}.`),
  PROVIDER_ACTIVITIES_PER_SECOND: variable(
    positive.default(20),
    '20',
    'Dispatch limit of each provider queue, held by the Temporal server; the same on all workers.',
  ),
  POLL_INTERVAL_SCALE: variable(scale.default(1), '1', 'Multiplies every poll interval and back-off; tests use less.'),
  ACTIVITY_TIMEOUT_SCALE: variable(scale.default(1), '1', 'Multiplies activity time-outs; tests use less.'),
  REMOTE_CLEANUP: variable(
    z.enum(['on_failure', 'always', 'never']).default('on_failure'),
    'on_failure',
    'When what was uploaded to a provider is deleted there: `on_failure`, `always`, `never`.',
  ),
  MAX_FILE_BYTES: variable(
    bytes.default(512 * MIB),
    '536870912 (512 MiB)',
    'Largest file that `POST /v1/files` takes, and largest result file that is kept.',
  ),
  MAX_UPLOAD_BYTES: variable(bytes.default(8 * GIB), '8589934592 (8 GiB)', 'Largest file of an upload in parts.'),
  MAX_UPLOAD_PART_BYTES: variable(bytes.default(64 * MIB), '67108864 (64 MiB)', 'Largest part of an upload.'),
  MAX_ROW_BYTES: variable(
    bytes.max(512 * MIB, 'must be at most 536870912').default(16 * MIB),
    '16777216 (16 MiB)',
    'Largest row of a dataset. Each row that is read takes several times its size in memory.',
  ),
  MAX_DATASET_ROWS: variable(
    z.coerce.number<string>('must be a number of rows').int(WHOLE).positive(POSITIVE).optional(),
    'no limit',
    'Most rows of a dataset.',
  ),
  FILE_RETENTION_DAYS: variable(
    positive.max(36_500, 'must be at most 36500').optional(),
    'no limit',
    'Files are deleted so many days after they came in, or at their own `expires_at` if that is earlier; never while an open job needs them.',
  ),
} as const;

export type VariableName = keyof typeof VARIABLES;

/** Secrets: read apart from the rest, and shown nowhere. */
export const SECRET_VARIABLES = {
  FILE_STORE_S3_ACCESS_KEY_ID:
    "Credentials of an `s3:` store, with the next one. Without them those that the AWS SDK finds: its environment variables, files, or the machine's role.",
  FILE_STORE_S3_SECRET_ACCESS_KEY: 'See `FILE_STORE_S3_ACCESS_KEY_ID`.',
  TUNESMITH_API_KEY:
    'The first admin key of the gateway. An embedded start makes one and keeps it in `$TUNESMITH_HOME/api-key`.',
  TUNESMITH_MASTER_KEY:
    'Seals credentials: 32 random bytes as base64 or hexadecimal. An embedded start makes one and keeps it in `$TUNESMITH_HOME/master-key`; required by `gateway` and `worker`, and the same for all.',
} as const;
