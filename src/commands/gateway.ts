import { listen } from '../http/server.js';
import { prepareProcess, separateContext } from './separate-process.js';
import { stopSignal } from './stop-signal.js';

const DRAIN_MS = 8_000;

/** `tunesmith gateway`: the front door alone. */
export async function runGateway(): Promise<void> {
  const { config, secrets, environment, logger } = prepareProcess('gateway');
  const context = await separateContext('gateway', config, secrets, environment, logger);
  let stopping = false;
  const app = context.createGateway({ isStopping: () => stopping });
  const server = await listen(app, { ...config, logger });
  logger.info({ url: server.url }, 'the gateway is ready');
  const signal = await stopSignal();
  logger.info({ signal }, 'stopping');
  stopping = true;
  await server.close(DRAIN_MS);
  await context.close();
}
