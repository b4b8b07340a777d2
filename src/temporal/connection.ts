import { Client, Connection } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import type { NativeConnectionOptions } from '@temporalio/worker';
import type { Environment } from '../config/env.js';

/** How to reach a Temporal server: for the gateway's client and the workers alike. */
export interface TemporalTarget {
  readonly connectionOptions: NativeConnectionOptions;
  readonly namespace: string;
}

/**
 * Temporal's own variables and profiles (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`, `TEMPORAL_API_KEY`, `TEMPORAL_TLS_*`,
 * `TEMPORAL_PROFILE`), read by Temporal's library, so that a team's set-up for other tools works here.
 */
export function externalTemporal(environment: Environment): TemporalTarget {
  const loaded = loadClientConnectConfig({ overrideEnvVars: { ...environment } });
  return { connectionOptions: loaded.connectionOptions, namespace: loaded.namespace ?? 'default' };
}

/** A child of ours: nothing but its address, whatever profiles this machine has. */
export function embeddedTemporal(address: string, namespace: string): TemporalTarget {
  return { connectionOptions: { address }, namespace };
}

/** Connects at the first call, so that a gateway starts and serves reads without Temporal. */
export function createTemporalClient(target: TemporalTarget): { client: Client; close: () => Promise<void> } {
  const { address, tls, apiKey, metadata } = target.connectionOptions;
  const connection = Connection.lazy({
    ...(address === undefined ? {} : { address }),
    ...(tls === undefined || tls === null ? {} : { tls }),
    ...(apiKey === undefined ? {} : { apiKey }),
    ...(metadata === undefined ? {} : { metadata }),
  });
  return { client: new Client({ connection, namespace: target.namespace }), close: () => connection.close() };
}
