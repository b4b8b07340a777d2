import { ActivityCancellationDetails } from '@temporalio/common';
import type { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { GatewayError } from '../src/domain/errors.js';
import type { JsonValue } from '../src/domain/json.js';
import type { UploadInput } from '../src/domain/provider-port.js';
import { attempt, createActivitySetup, createAttempts, type ActivitySetup } from '../test/support/activity-setup.js';
import { createTestDatabase, type TestDatabase } from '../test/support/database.js';
import { refusal } from '../test/support/scripted-provider.js';
import { uploadDataset } from './upload.js';

let test: TestDatabase;
let setup: ActivitySetup;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());
beforeEach(async () => {
  await test.database.deleteFrom('jobEvents').execute();
  await test.database.deleteFrom('jobs').execute();
  setup = await createActivitySetup(test.database);
  setup.contents.set('file-train', ROWS);
});

const ROWS = 'the rows are the checks’ business\n'.repeat(12);
const HALF: JsonValue = { uploadId: 'upload-1', partIds: ['part-1'] };
const dataset = () => ({
  jobId: setup.jobId,
  version: setup.version(),
  role: 'training' as const,
  fileId: 'file-train',
});
const upload = () => attempt(setup.activities.uploadDataset, dataset());
const sources = async () => (await setup.events()).map(({ sourceId }) => sourceId);
const saved = async () => (await setup.row()).uploadProgress.training?.saved;
const discards = () => setup.vendor.calls.filter((call) => call.startsWith('discardUpload'));

describe('the upload of a dataset', () => {
  it('streams every byte and keeps the id, and repeated sends nothing', async () => {
    expect((await upload()).result).toEqual({
      status: 'validating_files',
      phase: 'uploading',
      remoteFileId: 'remote-training',
    });
    expect(setup.vendor.files.get('remote-training')).toBe(ROWS);
    expect((await upload()).result).toMatchObject({ remoteFileId: 'remote-training' });
    expect(setup.vendor.called('uploadDataset')).toBe(1);
    expect(await setup.row()).toMatchObject({ remoteFiles: { training: 'remote-training' }, uploadProgress: {} });
    expect(await sources()).toEqual(['gateway:created', 'gateway:uploaded_training']);
  });

  it('that fails is tried again, and shows why meanwhile', async () => {
    setup.vendor.fail('uploadDataset', refusal('provider_unavailable'));
    expect((await upload()).failure).toMatchObject({ type: 'provider_unavailable', nonRetryable: false });
    expect((await setup.row()).lastError).toMatchObject({ code: 'provider_unavailable' });
    expect((await upload()).failure).toBeNull();
    expect((await setup.row()).lastError).toBeNull();
  });

  it('that is cancelled ends as cancelled', async () => {
    const { failure } = await createAttempts(setup.activities.uploadDataset, dataset()).next((environment) =>
      environment.cancel('CANCELLED'),
    );
    expect(failure?.name).toBe('CancelledFailure');
    expect((await setup.row()).remoteFiles).toEqual({});
    expect(discards()).toEqual([]);
  });

  it('of a job that has ended begins nothing', async () => {
    await setup.dependencies.jobs.recordState(setup.jobId, setup.version(5), { status: 'cancelled' });
    expect((await upload()).failure).toMatchObject({ type: 'invalid_job_state', nonRetryable: true });
    expect(setup.vendor.called('uploadDataset')).toBe(0);
  });
});

describe('an upload that has come half-way', () => {
  /** Saves, and then ends as the test says. */
  const halfWay = (end: (input: UploadInput, signal: AbortSignal) => Promise<void>): void => {
    setup.vendor.duringUpload = async (input, signal) => {
      await input.saveProgress(HALF);
      await end(input, signal);
    };
  };
  const failsWith = (error: Error) => () => Promise.reject(error);
  const cancelledBy = (details: { readonly cancelRequested?: boolean; readonly workerShutdown?: boolean }) => {
    let environment: MockActivityEnvironment | undefined;
    halfWay((_input, signal) => {
      environment?.cancel('CANCELLED', new ActivityCancellationDetails(details));
      return Promise.reject(signal.reason as Error);
    });
    return createAttempts(setup.activities.uploadDataset, dataset()).next((mocked) => {
      environment = mocked;
    });
  };

  it('is gone on with by the next attempt, and leaves nothing of it in the row', async () => {
    halfWay(failsWith(refusal('provider_unavailable')));
    expect((await upload()).failure).toMatchObject({ type: 'provider_unavailable', nonRetryable: false });
    expect(await saved()).toEqual(HALF);
    expect((await setup.row()).uploadAttemptedAt).not.toBeNull();

    let resumedFrom: JsonValue | undefined;
    setup.vendor.duringUpload = ({ resumeFrom }) => {
      resumedFrom = resumeFrom;
      return Promise.resolve();
    };
    expect((await upload()).failure).toBeNull();
    expect(resumedFrom).toEqual(HALF);
    expect((await setup.row()).uploadProgress).toEqual({});
    expect(discards()).toEqual([]);
  });

  it('begins from the first byte where nothing is saved, or nothing any more', async () => {
    const resumedFrom: (JsonValue | undefined)[] = [];
    setup.vendor.duringUpload = async (input) => {
      resumedFrom.push(input.resumeFrom);
      await input.saveProgress(HALF);
      await input.saveProgress(null);
      throw refusal('provider_unavailable');
    };
    await upload();
    await upload();
    expect(resumedFrom).toEqual([undefined, undefined]);
  });

  it('shows in heartbeats how far it is', async () => {
    halfWay((input) => {
      input.heartbeat();
      return Promise.resolve();
    });
    const attempts = createAttempts(setup.activities.uploadDataset, dataset());
    await attempts.next();
    expect(attempts.lastHeartbeat()).toEqual(HALF);
  });

  it.each([
    ['a refusal for good', refusal('provider_bad_request', 400)],
    ['damaged content', new GatewayError('file_content_damaged', 'damaged')],
  ])('is given up after %s', async (_what, error) => {
    halfWay(failsWith(error));
    expect((await upload()).failure).toMatchObject({ type: error.code, nonRetryable: true });
    expect(discards()).toEqual([`discardUpload ${JSON.stringify(HALF)}`]);
    expect(await saved()).toBeNull();
  });

  it('is given up where the job is being cancelled', async () => {
    expect((await cancelledBy({ cancelRequested: true })).failure?.name).toBe('CancelledFailure');
    expect(discards()).toHaveLength(1);
    expect(await saved()).toBeNull();
  });

  it('is kept for another worker where this one stops', async () => {
    expect((await cancelledBy({ workerShutdown: true })).failure).toMatchObject({ type: 'worker_stopping' });
    expect(discards()).toEqual([]);
    expect(await saved()).toEqual(HALF);
  });

  it('that cannot be given up now is given up at the job’s end', async () => {
    halfWay(failsWith(refusal('provider_bad_request', 400)));
    setup.vendor.fail('discardUpload', refusal('provider_unavailable'));
    expect((await upload()).failure).toMatchObject({ type: 'provider_bad_request' });
    expect(await saved()).toEqual(HALF);
    await attempt(setup.activities.deleteRemote, { jobId: setup.jobId, version: setup.version(9), remove: false });
    expect(discards()).toHaveLength(2);
    expect(await saved()).toBeNull();
  });
});

describe('an attempt that a later one has overtaken', () => {
  const THEIRS: JsonValue = { uploadId: 'upload-2', partIds: [] };

  it('writes nothing any more, neither how far it is nor the file', async () => {
    setup.vendor.duringUpload = async (input) => {
      await input.saveProgress(HALF);
      setup.vendor.duringUpload = () => Promise.resolve();
      const later = await setup.dependencies.jobUploads.claim(setup.jobId, 'training');
      expect(later?.saved).toEqual(HALF);
      if (later !== null) await setup.dependencies.jobUploads.save(setup.jobId, later, THEIRS);
      await input.saveProgress({ uploadId: 'upload-1', partIds: ['part-1', 'part-2'] });
    };
    expect((await upload()).failure).toMatchObject({ type: 'conflict', nonRetryable: false });
    expect(await saved()).toEqual(THEIRS);

    setup.vendor.duringUpload = async () => {
      await setup.dependencies.jobUploads.claim(setup.jobId, 'training');
    };
    expect((await upload()).failure).toMatchObject({ type: 'conflict', nonRetryable: false });
    expect(await setup.row()).toMatchObject({ remoteFiles: {}, uploadProgress: { training: { saved: THEIRS } } });
    expect(await sources()).toEqual(['gateway:created']);
  });

  it('takes over what the other has uploaded where that came first', async () => {
    const { openJob } = setup.dependencies;
    const stale = await openJob(setup.jobId);
    await setup.uploaded('training', 'remote-theirs');
    const end = await attempt(
      (input: ReturnType<typeof dataset>) =>
        uploadDataset({ ...setup.dependencies, openJob: () => Promise.resolve(stale) }, input),
      dataset(),
    );
    expect(end.result).toMatchObject({ remoteFileId: 'remote-theirs' });
    expect(setup.vendor.called('uploadDataset')).toBe(0);
  });
});
