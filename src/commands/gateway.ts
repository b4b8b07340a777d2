import { listen } from '../http/server.js';
import { DEFAULT_WORKSPACE_ID } from '../store/workspaces.js';
import { prepareProcess, separateContext } from './separate-process.js';
import { stopSignal } from './stop-signal.js';

const DRAIN_MS = 8_000;

/** `tunesmith gateway`: the front door alone. */
export async function runGateway(): Promise<void> {
  const { config, secrets, environment, logger } = prepareProcess('gateway');
  const context = await separateContext('gateway', config, secrets, environment, logger);
  if (secrets.apiKey !== null) {
    await context.gatewayKeys.ensure(secrets.apiKey, { workspaceId: DEFAULT_WORKSPACE_ID, name: 'admin' });
  }
  let stopping = false;
  const app = context.createGateway({ isStopping: () => stopping });
  const server = await listen(app, config);
  logger.info({ url: server.url }, 'the gateway is ready');
  const signal = await stopSignal();
  logger.info({ signal }, 'stopping');
  stopping = true;
  await server.close(DRAIN_MS);
  await context.close();
}
