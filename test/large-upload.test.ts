import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { createOpenAIProvider } from '../src/providers/openai/provider.js';
import { createProviders } from '../src/providers/registry.js';
import { chatRows } from './support/datasets.js';
import { startOwnEmulators, type EmulatorControl } from './support/emulator-control.js';
import { startJobSystem, type JobSystem } from './support/job-system.js';
import { oneFileRequest } from './support/job-workflow.js';
import { until } from './support/until.js';

const ROWS = chatRows(60);
const PART_BYTES = 1_000;
const PARTS = Math.ceil(Buffer.byteLength(ROWS) / PART_BYTES);

let emulators: EmulatorControl & { close(): Promise<void> };
let system: JobSystem;
beforeAll(async () => {
  emulators = await startOwnEmulators();
  const provider = createOpenAIProvider(
    { apiKey: 'sk-large-0123456789', baseUrl: emulators.openAiUrl },
    { uploadSizes: { inPartsAboveBytes: 2 * PART_BYTES, partBytes: PART_BYTES } },
  );
  const definition = createProviders().get('openai');
  system = await startJobSystem({
    scale: 0.01,
    activityTimeoutScale: 0.05,
    dependencies: ({ dependencies }) => ({
      openJob: async (jobId) => ({ row: await dependencies.jobs.get(jobId), definition, provider }),
    }),
  });
  system.setup.contents.set('file-train', ROWS);
});
afterAll(async () => {
  await system.stop();
  await emulators.close();
});
beforeEach(async () => {
  await emulators.reset();
  await emulators.jobSeconds(2);
});

const answered = async (operation: string): Promise<number> =>
  (await emulators.calls(operation)).filter(({ status }) => status === 200).length;

it('a large file reaches the provider over a line that is cut again and again, each part once', async () => {
  for (let part = 0; part < 3; part += 1) {
    await emulators.fault({ kind: 'reset', operation: 'addUploadPart', times: 1 });
    await emulators.fault({ kind: 'status', status: 503, operation: 'addUploadPart', times: 1 });
  }
  const run = await system.startJob(oneFileRequest);
  expect(await run.result()).toMatchObject({ status: 'succeeded' });
  expect(await answered('createUpload')).toBe(1);
  expect(await answered('addUploadPart')).toBe(PARTS);
  expect(await answered('completeUpload')).toBe(1);
  expect(await answered('cancelUpload')).toBe(0);
  expect(await system.setup.dependencies.jobs.get(run.workflowId)).toMatchObject({ uploadProgress: {} });
});

it('a cancel in the middle of a large upload leaves nothing at the provider', async () => {
  await emulators.fault({ kind: 'slow', delay_ms: 60_000, operation: 'addUploadPart' });
  const run = await system.startJob(oneFileRequest);
  await until('a part on its way', async () => (await emulators.calls('addUploadPart')).length > 0);
  await run.signal('cancel', { reason: 'api' });
  expect(await run.result()).toMatchObject({ status: 'cancelled' });
  expect(await answered('createUpload')).toBe(1);
  expect(await answered('cancelUpload')).toBe(1);
  expect(await answered('completeUpload')).toBe(0);
  const { uploadProgress, remoteFiles } = await system.setup.dependencies.jobs.get(run.workflowId);
  expect([uploadProgress.training?.saved, remoteFiles]).toEqual([null, {}]);
});
