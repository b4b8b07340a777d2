/** Lets so many run at once; the rest wait in the order in which they came. */
export interface Turns {
  /** Runs `work` when its turn has come. Rejects with the signal's reason where that aborts while it waits. */
  run<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result>;
  /** How many are waiting. */
  waiting(): number;
}

export function createTurns(atOnce: number): Turns {
  const queue = new Set<() => void>();
  let running = 0;

  const enter = (signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    if (running < atOnce) {
      running += 1;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const start = (): void => {
        queue.delete(start);
        signal.removeEventListener('abort', leave);
        resolve();
      };
      const leave = (): void => {
        queue.delete(start);
        // @NOTE an abort's reason is what its caller said, an Error or not.
        reject(signal.reason as Error);
      };
      queue.add(start);
      signal.addEventListener('abort', leave, { once: true });
    });
  };
  /** The place goes to who has waited longest; it is never free in between. */
  const exit = (): void => {
    const [next] = queue;
    if (next === undefined) running -= 1;
    else next();
  };

  return {
    async run(signal, work) {
      await enter(signal);
      try {
        return await work();
      } finally {
        exit();
      }
    },
    waiting: () => queue.size,
  };
}
