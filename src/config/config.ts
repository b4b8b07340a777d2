import { resolve } from 'node:path';
import { z } from 'zod';
import type { RemoteCleanup } from '../domain/activities.js';
import type { LogLevel } from '../observability/logger.js';
import { parseMasterKey } from '../vault/vault.js';
import type { FileStoreLocation, S3Credentials } from '../files/location.js';
import type { Environment } from './env.js';
import { fileStoreLocation, s3Credentials } from './file-store.js';
import { VARIABLES, type VariableName } from './variables.js';

export type Command = 'up' | 'gateway' | 'worker';

export interface Config {
  readonly host: string;
  readonly port: number;
  /** Absolute. */
  readonly home: string;
  /** Null: the embedded one. */
  readonly databaseUrl: string | null;
  /** Null: below the home. */
  readonly fileStore: FileStoreLocation | null;
  /** Null: the embedded one. */
  readonly temporalAddress: string | null;
  readonly temporalNamespace: string;
  readonly temporalPort: number;
  readonly temporalUiPort: number;
  readonly taskQueuePrefix: string;
  readonly emulatorsPort: number;
  readonly logLevel: LogLevel;
  readonly providerActivitiesPerSecond: number;
  readonly pollIntervalScale: number;
  readonly activityTimeoutScale: number;
  readonly remoteCleanup: RemoteCleanup;
  readonly maxFileBytes: number;
  readonly maxUploadBytes: number;
  readonly maxUploadPartBytes: number;
  readonly maxRowBytes: number;
  /** Null: no limit, as the next. */
  readonly maxDatasetRows: number | null;
  readonly fileRetentionDays: number | null;
}

/** What is never shown, logged or passed on; null where an embedded start has to make it. */
export interface Secrets {
  readonly apiKey: string | null;
  readonly masterKey: Buffer | null;
  /** Null: those that the AWS SDK finds. */
  readonly s3: S3Credentials | null;
}

/** Everything wrong with the configuration, at once. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(`The configuration is wrong:\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
    this.problems = problems;
  }
}

const REQUIRED_APART: readonly VariableName[] = ['DATABASE_URL', 'TEMPORAL_ADDRESS', 'FILE_STORE'];
const MIN_API_KEY_CHARACTERS = 16;

const schema = z.object({
  PORT: VARIABLES.PORT.schema,
  HOST: VARIABLES.HOST.schema,
  TUNESMITH_HOME: VARIABLES.TUNESMITH_HOME.schema,
  DATABASE_URL: VARIABLES.DATABASE_URL.schema,
  FILE_STORE: VARIABLES.FILE_STORE.schema,
  FILE_STORE_S3_ENDPOINT: VARIABLES.FILE_STORE_S3_ENDPOINT.schema,
  FILE_STORE_S3_REGION: VARIABLES.FILE_STORE_S3_REGION.schema,
  FILE_STORE_S3_PATH_STYLE: VARIABLES.FILE_STORE_S3_PATH_STYLE.schema,
  FILE_STORE_S3_ENCRYPTION: VARIABLES.FILE_STORE_S3_ENCRYPTION.schema,
  FILE_STORE_S3_KMS_KEY_ID: VARIABLES.FILE_STORE_S3_KMS_KEY_ID.schema,
  FILE_STORE_SPOOL: VARIABLES.FILE_STORE_SPOOL.schema,
  TEMPORAL_ADDRESS: VARIABLES.TEMPORAL_ADDRESS.schema,
  TEMPORAL_NAMESPACE: VARIABLES.TEMPORAL_NAMESPACE.schema,
  TEMPORAL_PORT: VARIABLES.TEMPORAL_PORT.schema,
  TEMPORAL_UI_PORT: VARIABLES.TEMPORAL_UI_PORT.schema,
  TEMPORAL_TASK_QUEUE_PREFIX: VARIABLES.TEMPORAL_TASK_QUEUE_PREFIX.schema,
  EMULATORS_PORT: VARIABLES.EMULATORS_PORT.schema,
  LOG_LEVEL: VARIABLES.LOG_LEVEL.schema,
  PROVIDER_ACTIVITIES_PER_SECOND: VARIABLES.PROVIDER_ACTIVITIES_PER_SECOND.schema,
  POLL_INTERVAL_SCALE: VARIABLES.POLL_INTERVAL_SCALE.schema,
  ACTIVITY_TIMEOUT_SCALE: VARIABLES.ACTIVITY_TIMEOUT_SCALE.schema,
  REMOTE_CLEANUP: VARIABLES.REMOTE_CLEANUP.schema,
  MAX_FILE_BYTES: VARIABLES.MAX_FILE_BYTES.schema,
  MAX_UPLOAD_BYTES: VARIABLES.MAX_UPLOAD_BYTES.schema,
  MAX_UPLOAD_PART_BYTES: VARIABLES.MAX_UPLOAD_PART_BYTES.schema,
  MAX_ROW_BYTES: VARIABLES.MAX_ROW_BYTES.schema,
  MAX_DATASET_ROWS: VARIABLES.MAX_DATASET_ROWS.schema,
  FILE_RETENTION_DAYS: VARIABLES.FILE_RETENTION_DAYS.schema,
} satisfies Record<VariableName, z.ZodType>);

/** Reads the configuration of a command. Throws ConfigurationError with every problem. */
export function loadConfig(command: Command, environment: Environment): { config: Config; secrets: Secrets } {
  const problems: string[] = [];
  if (command !== 'up') {
    for (const name of REQUIRED_APART) {
      if (environment[name] === undefined) {
        problems.push(
          `${name} is required by \`tunesmith ${command}\`: ${VARIABLES[name].meaning.replace(/ Required by .*$/, '')}`,
        );
      }
    }
  }
  const parsed = schema.safeParse(environment);
  if (!parsed.success) {
    for (const issue of parsed.error.issues) {
      const name = String(issue.path[0]);
      problems.push(`${name}: ${issue.message} (it is ${JSON.stringify(shown(name, environment[name]))})`);
    }
  }
  const secrets = loadSecrets(command, environment, problems);
  const fileStore = parsed.success ? fileStoreLocation(parsed.data, problems) : null;
  if (!parsed.success || problems.length > 0) throw new ConfigurationError(problems);
  const values = parsed.data;
  return {
    config: Object.freeze({
      host: values.HOST,
      port: values.PORT,
      home: resolve(values.TUNESMITH_HOME),
      databaseUrl: values.DATABASE_URL ?? null,
      fileStore,
      temporalAddress: values.TEMPORAL_ADDRESS ?? null,
      temporalNamespace: values.TEMPORAL_NAMESPACE,
      temporalPort: values.TEMPORAL_PORT,
      temporalUiPort: values.TEMPORAL_UI_PORT,
      taskQueuePrefix: values.TEMPORAL_TASK_QUEUE_PREFIX,
      emulatorsPort: values.EMULATORS_PORT,
      logLevel: values.LOG_LEVEL,
      providerActivitiesPerSecond: values.PROVIDER_ACTIVITIES_PER_SECOND,
      pollIntervalScale: values.POLL_INTERVAL_SCALE,
      activityTimeoutScale: values.ACTIVITY_TIMEOUT_SCALE,
      remoteCleanup: values.REMOTE_CLEANUP,
      maxFileBytes: values.MAX_FILE_BYTES,
      maxUploadBytes: values.MAX_UPLOAD_BYTES,
      maxUploadPartBytes: values.MAX_UPLOAD_PART_BYTES,
      maxRowBytes: values.MAX_ROW_BYTES,
      maxDatasetRows: values.MAX_DATASET_ROWS ?? null,
      fileRetentionDays: values.FILE_RETENTION_DAYS ?? null,
    }),
    secrets,
  };
}

function loadSecrets(command: Command, environment: Environment, problems: string[]): Secrets {
  const apiKey = environment['TUNESMITH_API_KEY'] ?? null;
  if (apiKey !== null && (apiKey.length < MIN_API_KEY_CHARACTERS || /\s/.test(apiKey))) {
    problems.push(`TUNESMITH_API_KEY: must have at least ${MIN_API_KEY_CHARACTERS} characters and no white space`);
  }
  const s3 = s3Credentials(environment, problems);
  const text = environment['TUNESMITH_MASTER_KEY'];
  if (text === undefined) {
    if (command !== 'up') {
      const why = 'the same for all processes; make one with: openssl rand -base64 32';
      problems.push(`TUNESMITH_MASTER_KEY is required by \`tunesmith ${command}\`: ${why}`);
    }
    return { apiKey, masterKey: null, s3 };
  }
  try {
    return { apiKey, masterKey: parseMasterKey(text), s3 };
  } catch (error) {
    problems.push(`TUNESMITH_MASTER_KEY: ${error instanceof Error ? error.message : 'cannot be read'}`);
    return { apiKey, masterKey: null, s3 };
  }
}

/** A database address can hold a password. */
const shown = (name: string, value: string | undefined): string | undefined =>
  name === 'DATABASE_URL' ? value?.replace(/:[^:@/]*@/, ':***@') : value;
