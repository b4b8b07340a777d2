import { abortReason } from './receive-content.js';

/** Lets so many tasks run at once; the others wait in the order in which they came. */
export interface TransferLimit {
  /** The signal takes a waiting task out of the queue; a running one has to end by itself. */
  run<Result>(task: () => Promise<Result>, signal?: AbortSignal): Promise<Result>;
}

export function createTransferLimit(atOnce: number): TransferLimit {
  const waiting = new Set<() => void>();
  let running = 0;

  const turn = (signal: AbortSignal | undefined): Promise<void> => {
    if (signal?.aborted === true) return Promise.reject(abortReason(signal));
    if (running < atOnce) {
      running += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const begin = (): void => {
        waiting.delete(begin);
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        waiting.delete(begin);
        if (signal !== undefined) reject(abortReason(signal));
      };
      waiting.add(begin);
      signal?.addEventListener('abort', leave, { once: true });
    });
  };
  // The place of one that ends goes to the next without being free in between: nobody overtakes.
  const end = (): void => {
    const [next] = waiting;
    if (next === undefined) running -= 1;
    else next();
  };

  return {
    async run(task, signal) {
      await turn(signal);
      try {
        return await task();
      } finally {
        end();
      }
    },
  };
}
