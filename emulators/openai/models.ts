/** The models this emulator can tune: alias → dated snapshot. */
const SNAPSHOTS: Readonly<Record<string, { snapshot: string; createdSeconds: number; shutdownDate: string | null }>> = {
  'gpt-4.1': { snapshot: 'gpt-4.1-2025-04-14', createdSeconds: 1_744_315_746, shutdownDate: '2027-01-14' },
  'gpt-4.1-mini': { snapshot: 'gpt-4.1-mini-2025-04-14', createdSeconds: 1_744_317_547, shutdownDate: '2027-01-14' },
  'gpt-4.1-nano': { snapshot: 'gpt-4.1-nano-2025-04-14', createdSeconds: 1_744_321_025, shutdownDate: '2026-10-23' },
  'gpt-4o': { snapshot: 'gpt-4o-2024-08-06', createdSeconds: 1_722_814_719, shutdownDate: '2027-01-14' },
  'gpt-4o-mini': { snapshot: 'gpt-4o-mini-2024-07-18', createdSeconds: 1_721_172_717, shutdownDate: '2027-01-14' },
  'o4-mini': { snapshot: 'o4-mini-2025-04-16', createdSeconds: 1_744_133_506, shutdownDate: '2026-10-23' },
  'gpt-3.5-turbo': { snapshot: 'gpt-3.5-turbo-0125', createdSeconds: 1_706_048_358, shutdownDate: '2026-10-23' },
  'babbage-002': { snapshot: 'babbage-002', createdSeconds: 1_692_634_615, shutdownDate: null },
  'davinci-002': { snapshot: 'davinci-002', createdSeconds: 1_692_634_301, shutdownDate: null },
};

/** The dated snapshot of a base model, or undefined when it cannot be tuned. */
export function resolveSnapshot(model: string): string | undefined {
  const byAlias = Object.hasOwn(SNAPSHOTS, model) ? SNAPSHOTS[model]?.snapshot : undefined;
  return byAlias ?? Object.values(SNAPSHOTS).find((entry) => entry.snapshot === model)?.snapshot;
}

/** Base models that take `{prompt, completion}` rows instead of chat rows. */
export function takesCompletions(snapshot: string): boolean {
  return snapshot === 'babbage-002' || snapshot === 'davinci-002';
}

export interface ModelObject {
  id: string;
  object: 'model';
  created: number;
  owned_by: string;
  shutdown_date?: string | null;
}

/** Aliases and snapshots, as `GET /models` lists them. */
export function baseModels(): ModelObject[] {
  return Object.entries(SNAPSHOTS).flatMap(([alias, { snapshot, createdSeconds, shutdownDate }]) =>
    [...new Set([alias, snapshot])].map((id) => ({
      id,
      object: 'model' as const,
      created: createdSeconds,
      owned_by: 'system',
      shutdown_date: shutdownDate,
    })),
  );
}
