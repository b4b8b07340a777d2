import { afterAll, beforeAll, expect, it } from 'vitest';
import type { JobRequest } from '../../src/domain/job.js';
import { startJobSystem, type JobSystem } from '../support/job-system.js';
import { oneFileRequest } from '../support/job-workflow.js';
import { refusal } from '../support/scripted-provider.js';

const polls = { until: 0, made: 0 };
let system: JobSystem;
beforeAll(async () => {
  system = await startJobSystem({
    // Five minutes are three milliseconds.
    scale: 0.000_01,
    dependencies: ({ vendor, dependencies }) => ({
      openJob: async (jobId) => {
        const provider = {
          ...vendor.provider,
          async getJob(id: string, signal: AbortSignal) {
            polls.made += 1;
            // Among them failures, which are retries as well.
            if (polls.made % 7 === 3 && polls.made < polls.until) throw refusal('provider_unavailable');
            const job = await vendor.provider.getJob(id, signal);
            if (polls.made < polls.until) return { ...job, status: 'running' as const };
            return { ...job, status: 'succeeded' as const, fineTunedModel: 'ft:model', resultFiles: ['result'] };
          },
        };
        return { row: await dependencies.jobs.get(jobId), definition: vendor.definition, provider };
      },
    }),
  });
  const row = '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n';
  for (const id of ['file-train', 'file-valid']) system.setup.contents.set(id, row.repeat(12));
  system.setup.vendor.results.set('result', 'step,train_loss\n1,0.5\n');
});
afterAll(() => system.stop());

async function eventsAfter(count: number, request?: JobRequest): Promise<readonly string[]> {
  Object.assign(polls, { until: count, made: 0 });
  const run = await system.startJob(request);
  await run.result();
  expect(polls.made).toBeGreaterThanOrEqual(count);
  const { events } = await run.fetchHistory();
  return (events ?? []).map(({ eventType }) => String(eventType));
}

it('the history of a job with both files is under 80 events', async () => {
  expect((await eventsAfter(10)).length).toBeLessThanOrEqual(80);
});

it('a history is the same for 10 polls and for 1,000', { timeout: 180_000 }, async () => {
  // One file: of two that end at the same moment one or two workflow tasks tell.
  const short = await eventsAfter(10, oneFileRequest);
  const long = await eventsAfter(1_000, oneFileRequest);
  expect(long).toEqual(short);
});
