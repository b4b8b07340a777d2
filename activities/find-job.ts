import { GatewayError } from '../src/domain/errors.js';
import type { ProviderDefinition } from '../src/domain/provider-port.js';
import type { RemoteFiles } from '../src/domain/job.js';
import type { RemoteJob } from '../src/domain/provider-port.js';
import type { Delays } from './cadence.js';
import type { ActivityDependencies, OpenedJob } from './dependencies.js';

/** From the claim until the create has ended: the longest that adapters give it. */
const CREATE_WITHIN_MS = 30_000;

/**
 * How long after a create was begun the provider's list may lack its job. The row holds the begin; the vendor's list
 * delay counts from the end, which a worker that was lost cannot have written down.
 */
export function unlistedForMs(delays: Delays, { capabilities }: ProviderDefinition): number {
  return delays.scaled(CREATE_WITHIN_MS + capabilities.listDelayMs);
}

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
    await cancelDoubles(dependencies, opened, found.slice(index), bound, signal);
    return kept;
  }
  return null;
}

/** Cancels every job with the marker but the one that the row has, `alsoMade` included, which a list may not show yet. */
export async function cancelAllBut(
  dependencies: ActivityDependencies,
  opened: OpenedJob,
  boundId: string,
  place: { readonly files: RemoteFiles; readonly alsoMade: string },
  signal: AbortSignal,
): Promise<void> {
  const found = await opened.provider.findJobs({ jobId: opened.row.id, files: place.files }, signal);
  const shown = found.some(({ id }) => id === place.alsoMade);
  await cancelDoubles(dependencies, opened, shown ? found : [...found, { id: place.alsoMade }], boundId, signal);
}

function bind({ submissions }: ActivityDependencies, { row }: OpenedJob, job: RemoteJob): Promise<string | null> {
  return submissions.bindProviderJob(row.id, job.id, job.createdAt ?? new Date().toISOString());
}

async function cancelDoubles(
  { events, submissions }: ActivityDependencies,
  { row, provider }: OpenedJob,
  found: readonly Pick<RemoteJob, 'id'>[],
  boundId: string,
  signal: AbortSignal,
): Promise<void> {
  for (const double of found) {
    if (double.id === boundId || (await submissions.isBoundElsewhere(row.id, double.id))) continue;
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
