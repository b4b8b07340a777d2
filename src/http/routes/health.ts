import type { Router } from 'express';
import { createRouter } from '../route-table.js';

/** One thing the gateway depends on. Ends well when it works now; may give a detail to show. */
export type ReadinessProbe = (signal: AbortSignal) => Promise<string | undefined>;

export interface HealthDependencies {
  /** By the name shown: `database`, `temporal`, `file_store`, `workers`, … */
  readonly probes: Readonly<Record<string, ReadinessProbe>>;
  readonly version: string;
  /** After this a probe counts as failed; 2 s where not given. */
  readonly deadlineMs?: number;
  readonly isStopping?: () => boolean;
}

interface ProbeResult {
  readonly status: 'ok' | 'failed';
  readonly detail?: string;
  readonly duration_ms: number;
}

const DEFAULT_DEADLINE_MS = 2_000;

/**
 * `/healthz`: the process is alive, whatever it depends on. `/readyz`: 200 when every probe ends well within the deadline and
 * the process is not stopping, else 503; both with the state of each. Neither takes a key, so details are kept general.
 */
export function createHealthRouter(dependencies: HealthDependencies): Router {
  const { probes, version, isStopping } = dependencies;
  const deadlineMs = dependencies.deadlineMs ?? DEFAULT_DEADLINE_MS;
  return createRouter({
    '/healthz': {
      GET: (_request, response) => {
        response.set('Cache-Control', 'no-store').json({ status: 'ok', version });
      },
    },
    '/readyz': {
      GET: async (_request, response) => {
        const results = await Promise.all(
          Object.entries(probes).map(async ([name, probe]) => [name, await run(probe, deadlineMs)] as const),
        );
        const stopping = isStopping?.() === true;
        const ready = !stopping && results.every(([, result]) => result.status === 'ok');
        response
          .set('Cache-Control', 'no-store')
          .status(ready ? 200 : 503)
          .json({
            status: stopping ? 'stopping' : ready ? 'ready' : 'not_ready',
            version,
            checks: Object.fromEntries(results),
          });
      },
    },
  });
}

async function run(probe: ReadinessProbe, deadlineMs: number): Promise<ProbeResult> {
  const startedAt = performance.now();
  const signal = AbortSignal.timeout(deadlineMs);
  const deadline = new Promise<never>((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(new Error('deadline')), { once: true });
  });
  const durationMs = (): number => Math.round(performance.now() - startedAt);
  try {
    const detail = await Promise.race([probe(signal), deadline]);
    return { status: 'ok', ...(detail === undefined ? {} : { detail }), duration_ms: durationMs() };
  } catch {
    // The reason may name hosts and users; it belongs in the log of whoever owns the dependency.
    return {
      status: 'failed',
      detail: signal.aborted ? `no answer within ${deadlineMs} ms` : 'not available',
      duration_ms: durationMs(),
    };
  }
}
