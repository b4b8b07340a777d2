import { loadConfig, type Config, type Secrets } from '../config/config.js';
import { readEnvironment, type Environment } from '../config/env.js';
import { createContext, type Context } from '../context.js';
import { createLogger, type Logger } from '../observability/logger.js';
import { externalTemporal } from '../temporal/connection.js';
import { prepareDatabase } from './prepare-database.js';
import { productVersion } from './version.js';

/** Configuration and log of a gateway or a worker that runs by itself. */
export function prepareProcess(command: 'gateway' | 'worker') {
  const environment = readEnvironment();
  const { config, secrets } = loadConfig(command, environment);
  const logger = createLogger({ level: config.logLevel, fields: { role: command } });
  return { config, secrets, environment, logger };
}

/** Its services, over a database that has this release's schema. Waits for the database. */
export async function separateContext(
  role: 'gateway' | 'worker',
  config: Config,
  secrets: Secrets,
  environment: Environment,
  logger: Logger,
): Promise<Context> {
  const { databaseUrl, fileStore } = config;
  const { masterKey } = secrets;
  // @NOTE `loadConfig` refuses these commands without them.
  if (databaseUrl === null || fileStore === null || masterKey === null) throw new Error('unreachable');
  const context = await createContext(
    config,
    {
      role,
      version: productVersion(),
      masterKey,
      databaseUrl,
      fileStore,
      s3Credentials: secrets.s3,
      temporal: externalTemporal(environment),
      adoptLostRuns: false,
    },
    logger,
  );
  await prepareDatabase(context, {
    apiKey: secrets.apiKey,
    onWait: (error) => logger.warn({ why: error.message }, 'waiting for the database'),
  });
  return context;
}
