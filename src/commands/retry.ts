import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayError } from '../domain/errors.js';

const RETRY_MS = { first: 250, most: 5_000 } as const;

/** Repeats a step of a start until the database is there, so that processes can be started in any order. */
export async function retryUntilAvailable(step: () => Promise<void>, onWait: (error: unknown) => void): Promise<void> {
  for (let delayMs: number = RETRY_MS.first; ; delayMs = Math.min(RETRY_MS.most, delayMs * 2)) {
    try {
      await step();
      return;
    } catch (error) {
      if (!(error instanceof GatewayError) || error.code !== 'database_unavailable') throw error;
      onWait(error);
      await sleep(delayMs);
    }
  }
}
