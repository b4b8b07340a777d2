import type { OpenedJob, ActivityDependencies } from './dependencies.js';

type MirrorDependencies = Pick<ActivityDependencies, 'events' | 'checkpoints'>;

/** Writes the provider's events that the job does not have yet, oldest first. Returns how many. */
export async function mirrorEvents(
  dependencies: MirrorDependencies,
  { row, provider }: OpenedJob,
  providerJobId: string,
  signal: AbortSignal,
): Promise<number> {
  const lastKnown = await dependencies.events.lastProviderEventId(row.id);
  const events = await provider.listEvents(providerJobId, lastKnown, signal);
  return dependencies.events.append(
    row.id,
    events.map((event) => ({ ...event, sourceId: `provider:${event.id}` as const })),
  );
}

/** Writes the provider's checkpoints that the job does not have yet. */
export async function mirrorCheckpoints(
  dependencies: MirrorDependencies,
  { row, provider }: OpenedJob,
  providerJobId: string,
  signal: AbortSignal,
): Promise<void> {
  await dependencies.checkpoints.add(row.id, await provider.listCheckpoints(providerJobId, signal));
}
