import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { Logger } from '../observability/logger.js';
import { ensureSchedules } from './schedule.js';
import type { SearchAttributes } from './search-attributes.js';
import { startWorkers, type Workers, type WorkersOptions } from './workers.js';

export interface WorkerLoopOptions {
  readonly client: Client;
  readonly searchAttributes: SearchAttributes;
  readonly workers: WorkersOptions;
  readonly pollIntervalScale: number;
  readonly logger: Logger;
}

export interface RunningWorkers {
  /** True while every worker polls. */
  running(): boolean;
  /** Ends well at the first time that every worker polls. */
  readonly ready: Promise<void>;
  stop(): Promise<void>;
}

const RETRY_MS = { first: 500, most: 15_000 } as const;

/** Keeps the workers of this process running: through a Temporal that is not there yet, and one that goes away. */
export function keepWorkersRunning(options: WorkerLoopOptions): RunningWorkers {
  const { logger } = options;
  const stopping = new AbortController();
  const isStopping = (): boolean => stopping.signal.aborted;
  let onReady: () => void = () => undefined;
  const ready = new Promise<void>((resolve) => {
    onReady = resolve;
  });
  const current: { workers: Workers | null } = { workers: null };

  const startOnce = async (): Promise<void> => {
    await options.searchAttributes.register();
    await ensureSchedules(options.client, {
      taskQueuePrefix: options.workers.taskQueuePrefix,
      pollIntervalScale: options.pollIntervalScale,
    });
    const workers = await startWorkers(options.workers);
    current.workers = workers;
    onReady();
    if (isStopping()) return;
    logger.info('workers are running');
    await workers.ended;
  };

  const loop = async (): Promise<void> => {
    for (let retryMs: number = RETRY_MS.first; !isStopping(); retryMs = Math.min(RETRY_MS.most, retryMs * 2)) {
      const startedAtMs = Date.now();
      try {
        await startOnce();
      } catch (error) {
        if (isStopping()) return;
        logger.warn({ err: error }, 'workers are not running; starting them again');
        await current.workers?.stop();
      }
      if (Date.now() - startedAtMs > RETRY_MS.most) retryMs = RETRY_MS.first;
      await sleep(retryMs, undefined, { signal: stopping.signal }).catch(() => undefined);
    }
  };
  const ended = loop();

  return {
    running: () => current.workers?.running() === true,
    ready,
    async stop() {
      stopping.abort();
      await current.workers?.stop();
      await ended;
      // Those that were being started meanwhile.
      await current.workers?.stop();
    },
  };
}
