import { startOwnEmulators, type EmulatorControl } from './emulator-control.js';
import { createGatewayClient, type GatewayClient } from './gateway-client.js';
import { sharedSystem } from './shared-system.js';

export interface Acceptance {
  readonly client: GatewayClient;
  /** This file's own. */
  readonly emulators: EmulatorControl;
  close(): Promise<void>;
}

/** A client of the shared system, and emulators that jobs of this file are sent to. */
export async function startAcceptance(jobSeconds = 1): Promise<Acceptance> {
  const system = sharedSystem();
  const emulators = await startOwnEmulators();
  await emulators.jobSeconds(jobSeconds);
  return { client: createGatewayClient(() => system), emulators, close: () => emulators.close() };
}
