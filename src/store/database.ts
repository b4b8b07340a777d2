import { CamelCasePlugin, Kysely, PostgresDialect, type PostgresPoolClient } from 'kysely';
import pg from 'pg';
import { GatewayError } from '../domain/errors.js';
import type { Tables } from './schema.js';

export type Database = Kysely<Tables>;

export interface DatabaseOptions {
  readonly databaseUrl: string;
  readonly applicationName: string;
  readonly maxConnections?: number;
  /** Called for the loss of an idle connection, which is no failure of a request. */
  readonly onIdleError?: (error: Error) => void;
}

const CONNECTION_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 30_000;

/** SQLSTATE classes and codes that mean the server is away, starting, stopping or full; not that the statement is wrong. */
const UNAVAILABLE_SQL_STATE = /^(08|57P0|53)/;

/**
 * The database behind every repository. An error that means PostgreSQL cannot serve is a GatewayError
 * `database_unavailable` (retryable); others are thrown as they are.
 */
export function createDatabase(options: DatabaseOptions): Database {
  // Sizes, sequences and token counts fit a double; pg gives int8 as text otherwise.
  const types = new pg.TypeOverrides();
  types.setTypeParser(pg.types.builtins.INT8, Number);
  const pool = new pg.Pool({
    connectionString: options.databaseUrl,
    application_name: options.applicationName,
    max: options.maxConnections ?? 10,
    connectionTimeoutMillis: CONNECTION_TIMEOUT_MS,
    statement_timeout: STATEMENT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: STATEMENT_TIMEOUT_MS,
    keepAlive: true,
    types,
  });
  pool.on('error', (error) => options.onIdleError?.(error));
  // Lost while a request holds it between two statements: the next one fails and says so. Without a listener the
  // server's last word ("terminating connection due to unexpected postmaster exit") ends the process.
  pool.on('connect', (client) => client.on('error', () => undefined));
  return new Kysely<Tables>({
    dialect: new PostgresDialect({
      pool: {
        connect: async () => translateErrors(await pool.connect().catch(rethrow)),
        end: () => pool.end(),
      },
    }),
    plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })],
  });
}

function translateErrors(client: pg.PoolClient): PostgresPoolClient {
  return new Proxy(client, {
    get(target, property) {
      const value: unknown = Reflect.get(target, property, target);
      if (typeof value !== 'function') return value;
      if (property !== 'query') return value.bind(target) as unknown;
      return async (...parameters: unknown[]): Promise<unknown> => {
        try {
          return (await Reflect.apply(value, target, parameters)) as unknown;
        } catch (error) {
          return rethrow(error);
        }
      };
    },
  });
}

function rethrow(error: unknown): never {
  if (isUnavailable(error)) {
    throw new GatewayError('database_unavailable', 'The database does not answer. Try again shortly.', {
      cause: error,
    });
  }
  throw error;
}

function isUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (UNAVAILABLE_SQL_STATE.test(code)) return true;
  if (/^(ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_)/.test(code)) return true;
  return /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error/.test(
    error.message,
  );
}
