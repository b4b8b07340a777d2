import { ScheduleOverlapPolicy } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startJobSystem, type JobSystem } from '../../test/support/job-system.js';
import { GatewayError } from '../domain/errors.js';
import { reconcileScheduleId, sweepScheduleId } from '../domain/temporal-names.js';
import { ensureSchedules } from './schedule.js';

const OPTIONS = { taskQueuePrefix: 'test', pollIntervalScale: 1 } as const;
let system: JobSystem;
let sweeps = 0;

beforeAll(async () => {
  system = await startJobSystem({
    scale: 0.01,
    dependencies: () => ({
      sweepFiles: (signal) => {
        sweeps += 1;
        if (signal.aborted || sweeps === 1) return Promise.reject(new GatewayError('storage_unavailable', 'away'));
        return Promise.resolve({ swept: true, examined: 1, removed: 1, failed: 0, abandoned: 0 });
      },
    }),
  });
  await ensureSchedules(system.client, OPTIONS);
});
afterAll(() => system.stop());

describe('the schedules', () => {
  test.each([
    [reconcileScheduleId('test'), 30_000],
    [sweepScheduleId('test'), 3_600_000],
  ])('have %s, every %d ms and never twice at once', async (id, everyMs) => {
    const { spec, policies } = await system.client.schedule.getHandle(id).describe();
    expect(spec.intervals?.map(({ every }) => every)).toEqual([everyMs]);
    expect(policies).toMatchObject({ overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: 60_000 });
  });

  test('sweep the file store as soon as they are made, trying again where it does not answer', async () => {
    const handle = system.client.schedule.getHandle(sweepScheduleId('test'));
    await expect.poll(async () => (await handle.describe()).info.recentActions.length, { timeout: 30_000 }).toBe(1);
    const [action] = (await handle.describe()).info.recentActions;
    expect(action?.action.type).toBe('startWorkflow');
    const { workflowId } = action!.action.workflow;
    await system.client.workflow.getHandle(workflowId).result();
    expect(sweeps).toBe(2);
  });

  test('are left as they are by the next start, with no further sweep', async () => {
    const handle = system.client.schedule.getHandle(sweepScheduleId('test'));
    await handle.pause('by hand');
    await ensureSchedules(system.client, { ...OPTIONS, pollIntervalScale: 0.5 });
    const { spec, state, info } = await handle.describe();
    expect(spec.intervals?.map(({ every }) => every)).toEqual([3_600_000]);
    expect(state.paused).toBe(true);
    expect(info.numActionsTaken).toBe(1);
  });
});
