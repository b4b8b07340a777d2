import { setTimeout as sleep } from 'node:timers/promises';
import type { Context } from '../context.js';
import { GatewayError } from '../domain/errors.js';
import { migrate } from '../store/migrations/index.js';
import { DEFAULT_WORKSPACE_ID } from '../store/workspaces.js';

const RETRY_MS = { first: 250, most: 5_000 } as const;

export interface PrepareDatabaseOptions {
  /** The first admin key, where this process knows it. */
  readonly apiKey: string | null;
  readonly onWait: (error: Error) => void;
  readonly signal?: AbortSignal;
}

/**
 * Brings the database to this release's schema and checks that it is ours. Waits until it is there, so that processes
 * can be started in any order. Fails where the database was made with another master key.
 */
export async function prepareDatabase(context: Context, options: PrepareDatabaseOptions): Promise<void> {
  for (let delayMs: number = RETRY_MS.first; ; delayMs = Math.min(RETRY_MS.most, delayMs * 2)) {
    options.signal?.throwIfAborted();
    try {
      await prepareOnce(context, options.apiKey);
      return;
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'database_unavailable') throw error;
      options.onWait(error);
      await sleep(delayMs, undefined, options.signal === undefined ? {} : { signal: options.signal }).catch(
        () => undefined,
      );
    }
  }
}

async function prepareOnce(context: Context, apiKey: string | null): Promise<void> {
  await migrate(context.database);
  await context.requireSameMasterKey();
  await context.workspaces.ensure({ id: DEFAULT_WORKSPACE_ID, name: 'default' });
  if (apiKey !== null) await context.gatewayKeys.ensure(apiKey, { workspaceId: DEFAULT_WORKSPACE_ID, name: 'admin' });
}
