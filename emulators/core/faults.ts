import { z } from 'zod';
import type { StateStore } from './journal.js';
import { nextRandom } from './random.js';

export const FAULT_KINDS = ['execute-then-timeout', 'timeout', 'reset', 'status', 'malformed', 'html', 'slow'] as const;

/** Body of `POST /__emulator/faults`. Without `times` the fault stays until it is cleared; without `rate` it always fires. */
export const faultRequest = z
  .strictObject({
    provider: z.string().min(1),
    operation: z.string().min(1).optional(),
    kind: z.enum(FAULT_KINDS),
    times: z.int().min(1).optional(),
    rate: z.number().min(0).max(1).optional(),
    seed: z.int().optional(),
    delay_ms: z.number().min(0).optional(),
    status: z.int().min(200).max(599).optional(),
    body: z.unknown().optional(),
    retry_after: z.union([z.number().min(0), z.string()]).optional(),
  })
  .refine((fault) => fault.kind !== 'status' || fault.status !== undefined, {
    message: 'kind "status" needs a status',
    path: ['status'],
  })
  .refine((fault) => fault.kind !== 'slow' || fault.delay_ms !== undefined, {
    message: 'kind "slow" needs delay_ms',
    path: ['delay_ms'],
  });

export type FaultRequest = z.infer<typeof faultRequest>;

const faultRule = z.object({
  id: z.string(),
  fault: faultRequest,
  timesLeft: z.number().nullable(),
  randomState: z.number(),
});

export interface FaultInjector {
  add(fault: FaultRequest): void;
  /** The fault that hits this call, if any; uses up one of its `times`. */
  take(provider: string, operation: string | null): FaultRequest | undefined;
  clear(): void;
}

/** Rules are tried in the order in which they were added; the first that fires wins. They survive a restart. */
export function createFaultInjector(store: StateStore): FaultInjector {
  const rules = store.collection('core.faults', faultRule);
  let lastId = Math.max(0, ...rules.values().map((rule) => Number(rule.id)));
  return {
    add: (fault) => {
      lastId += 1;
      const id = String(lastId);
      rules.put(id, { id, fault, timesLeft: fault.times ?? null, randomState: fault.seed ?? 1 });
    },
    take: (provider, operation) => {
      for (const rule of rules.values()) {
        const { fault } = rule;
        if (fault.provider !== provider) continue;
        if (fault.operation !== undefined && fault.operation !== operation) continue;
        let randomState = rule.randomState;
        if (fault.rate !== undefined) {
          const draw = nextRandom(randomState);
          randomState = draw.state;
          if (draw.value >= fault.rate) {
            rules.put(rule.id, { ...rule, randomState });
            continue;
          }
        }
        const timesLeft = rule.timesLeft === null ? null : rule.timesLeft - 1;
        if (timesLeft === 0) rules.delete(rule.id);
        else if (timesLeft !== null || fault.rate !== undefined)
          rules.put(rule.id, { ...rule, timesLeft, randomState });
        return fault;
      }
      return undefined;
    },
    clear: () => rules.clear(),
  };
}
