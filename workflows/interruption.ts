import { ActivityFailure, CancellationScope, isCancellation } from '@temporalio/workflow';

/** A stage ended because somebody asked for it, not because it failed. */
export class StageInterrupted extends Error {
  override readonly name = 'StageInterrupted';
}

/**
 * The two ways to end a running stage: a cancel, which holds for the rest of the job, and a refresh, which only
 * ends the current wait so that it is asked again.
 */
export interface Interruption {
  /** Once true, stays true. */
  cancelRequested(): boolean;
  /** True where the request came as a cancellation of the workflow itself. */
  cancelledNatively(): boolean;
  requestCancel(source: 'api' | 'native'): void;
  refresh(): void;
  /** Runs a stage; a cancel before or during it throws StageInterrupted. */
  cancellable<T>(stage: () => Promise<T>): Promise<T>;
  /** Runs a wait; null where it was ended by a refresh, or by a cancel where `untilCancelled`. */
  refreshable<T>(wait: () => Promise<T>, options: { readonly untilCancelled: boolean }): Promise<T | null>;
}

export function createInterruption(onCancel: () => void): Interruption {
  let cancelSource: 'api' | 'native' | null = null;
  let native = false;
  const onCancelScopes = new Set<CancellationScope>();
  const onRefreshScopes = new Set<CancellationScope>();

  const within = async <T>(body: () => Promise<T>, groups: readonly Set<CancellationScope>[]): Promise<T> => {
    const scope = new CancellationScope();
    for (const group of groups) group.add(scope);
    try {
      return await scope.run(body);
    } catch (error) {
      throw isInterruption(error) ? new StageInterrupted('interrupted') : error;
    } finally {
      for (const group of groups) group.delete(scope);
    }
  };

  return {
    cancelRequested: () => cancelSource !== null,
    cancelledNatively: () => native,
    requestCancel(source) {
      if (source === 'native') native = true;
      if (cancelSource !== null) return;
      cancelSource = source;
      onCancel();
      for (const scope of onCancelScopes) scope.cancel();
    },
    refresh() {
      for (const scope of onRefreshScopes) scope.cancel();
    },
    async cancellable(stage) {
      if (cancelSource !== null) throw new StageInterrupted('cancel requested');
      return within(stage, [onCancelScopes]);
    },
    async refreshable(wait, { untilCancelled }) {
      if (untilCancelled && cancelSource !== null) return null;
      try {
        return await within(wait, untilCancelled ? [onRefreshScopes, onCancelScopes] : [onRefreshScopes]);
      } catch (error) {
        if (error instanceof StageInterrupted) return null;
        throw error;
      }
    },
  };
}

/**
 * An attempt that fails while its cancellation is pending closes the activity as failed with retry state
 * CANCEL_REQUESTED (measured): that is an interruption as well.
 */
function isInterruption(error: unknown): boolean {
  return isCancellation(error) || (error instanceof ActivityFailure && error.retryState === 'CANCEL_REQUESTED');
}

/** Runs tasks side by side; when one fails the rest are cancelled and waited for, and the first real failure counts. */
export async function allOrNone<T>(tasks: readonly (() => Promise<T>)[]): Promise<T[]> {
  const scope = new CancellationScope();
  return scope.run(async () => {
    const settled = await Promise.allSettled(
      tasks.map((task) =>
        task().catch((error: unknown) => {
          scope.cancel();
          throw error;
        }),
      ),
    );
    const failures = settled.filter((result) => result.status === 'rejected').map((result) => result.reason as unknown);
    if (failures.length > 0) throw failures.find((failure) => !isInterruption(failure)) ?? failures[0];
    return settled.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  });
}
