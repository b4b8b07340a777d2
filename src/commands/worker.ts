import { installTemporalRuntime } from '../temporal/runtime.js';
import { prepareProcess, separateContext } from './separate-process.js';
import { stopSignal } from './stop-signal.js';

/** `tunesmith worker`: workers alone. */
export async function runWorker(): Promise<void> {
  const { config, secrets, environment, logger } = prepareProcess('worker');
  installTemporalRuntime(logger);
  const context = await separateContext('worker', config, secrets, environment, logger);
  const workers = context.startWorkers();
  const signal = await stopSignal();
  logger.info({ signal }, 'stopping');
  await workers.stop();
  await context.close();
}
