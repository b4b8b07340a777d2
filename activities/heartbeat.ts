import { Context } from '@temporalio/activity';

const HEARTBEAT_INTERVAL_MS = 5_000;

/**
 * Runs work that can take long, heartbeating meanwhile, so that a lost worker is noticed and a cancellation arrives.
 * The signal aborts on cancellation.
 */
export async function whileHeartbeating<T>(
  work: (signal: AbortSignal, heartbeat: (details: unknown) => void) => Promise<T>,
): Promise<T> {
  const context = Context.current();
  let details: unknown = context.info.heartbeatDetails;
  const beat = (): void => {
    context.heartbeat(details);
  };
  const timer = setInterval(beat, HEARTBEAT_INTERVAL_MS);
  try {
    return await work(context.cancellationSignal, (latest) => {
      details = latest;
      beat();
    });
  } finally {
    clearInterval(timer);
  }
}
