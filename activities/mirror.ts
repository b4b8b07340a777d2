import type { JobProgress } from '../src/domain/job.js';
import type { RemoteEvent } from '../src/domain/provider-port.js';
import { z } from 'zod';
import type { OpenedJob, ActivityDependencies } from './dependencies.js';

type MirrorDependencies = Pick<ActivityDependencies, 'events' | 'checkpoints'>;

/** Writes the provider's events that the job does not have yet, oldest first. Returns the progress they tell, if any. */
export async function mirrorEvents(
  dependencies: MirrorDependencies,
  { row, provider }: OpenedJob,
  providerJobId: string,
  signal: AbortSignal,
): Promise<JobProgress | null> {
  const lastKnown = await dependencies.events.lastProviderEventId(row.id);
  const events = await provider.listEvents(providerJobId, lastKnown, signal);
  await dependencies.events.append(
    row.id,
    events.map((event) => ({ ...event, sourceId: `provider:${event.id}` as const })),
  );
  return progressOf(events);
}

const stepSchema = z.object({ step: z.int().nonnegative(), total_steps: z.int().positive().optional() });

/** The latest training step among these events, in OpenAI's form of a metrics event. */
function progressOf(events: readonly RemoteEvent[]): JobProgress | null {
  const latest = events.findLast((event) => event.type === 'metrics');
  const parsed = stepSchema.safeParse(latest?.data);
  if (!parsed.success) return null;
  const { step, total_steps: totalSteps } = parsed.data;
  return totalSteps === undefined ? { step } : { step, totalSteps, percent: Math.floor((100 * step) / totalSteps) };
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
