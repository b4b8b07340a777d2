import { DefaultLogger, Runtime } from '@temporalio/worker';
import type { Logger } from '../observability/logger.js';

/** Sends what the Temporal SDK logs to our log. Once per process, before any connection or worker. */
export function installTemporalRuntime(logger: Logger): void {
  Runtime.install({
    shutdownSignals: [],
    logger: new DefaultLogger('INFO', ({ level, message, meta }) => {
      const fields = { ...meta };
      if (level === 'ERROR') logger.error(fields, message);
      else if (level === 'WARN') logger.warn(fields, message);
      else logger.debug(fields, message);
    }),
    telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } },
  });
}
