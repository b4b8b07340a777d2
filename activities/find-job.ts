import { GatewayError } from '../src/domain/errors.js';
import type { RemoteFiles } from '../src/domain/job.js';
import type { RemoteJob } from '../src/domain/provider-port.js';
import type { ActivityDependencies, OpenedJob } from './dependencies.js';

/**
 * Looks for the job by its marker and binds the oldest that no other row has. The rest are doubles that a stalled
 * worker made: they are cancelled. Null where the provider shows none.
 */
export async function adoptByMarker(
  dependencies: ActivityDependencies,
  opened: OpenedJob,
  files: RemoteFiles,
  signal: AbortSignal,
): Promise<RemoteJob | null> {
  const found = await opened.provider.findJobs({ jobId: opened.row.id, files }, signal);
  for (const [index, candidate] of found.entries()) {
    const bound = await bind(dependencies, opened, candidate);
    if (bound === null) continue;
    const kept = found.find((job) => job.id === bound) ?? (await opened.provider.getJob(bound, signal));
    await cancelDoubles(
      dependencies,
      opened,
      found.slice(index).filter((job) => job.id !== bound),
      signal,
    );
    return kept;
  }
  return null;
}

function bind({ submissions }: ActivityDependencies, { row }: OpenedJob, job: RemoteJob): Promise<string | null> {
  return submissions.bindProviderJob(row.id, job.id, job.createdAt ?? new Date().toISOString());
}

async function cancelDoubles(
  { events }: ActivityDependencies,
  { row, provider }: OpenedJob,
  doubles: readonly RemoteJob[],
  signal: AbortSignal,
): Promise<void> {
  for (const double of doubles) {
    await cancelUnlessFinished(provider, double.id, signal);
    await events.append(row.id, [
      {
        sourceId: `gateway:double_${double.id}`,
        level: 'warn',
        type: 'message',
        message: `Cancelled ${double.id} at ${row.provider}: a second job with the marker of this one`,
        data: { provider_job_id: double.id },
      },
    ]);
  }
}

/** Cancels at the provider; false where it was too late. */
export async function cancelUnlessFinished(
  provider: OpenedJob['provider'],
  providerJobId: string,
  signal: AbortSignal,
): Promise<boolean> {
  try {
    await provider.cancelJob(providerJobId, signal);
    return true;
  } catch (error) {
    if (isTooLate(error)) return false;
    throw error;
  }
}

function isTooLate(error: unknown): boolean {
  return (
    error instanceof GatewayError && (error.code === 'provider_wrong_state' || error.code === 'provider_not_found')
  );
}
