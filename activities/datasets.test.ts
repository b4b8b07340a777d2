import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { attempt, createActivitySetup, type ActivitySetup } from '../test/support/activity-setup.js';
import { createTestDatabase, type TestDatabase } from '../test/support/database.js';
import { refusal } from '../test/support/scripted-provider.js';

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
});

const row = JSON.stringify({
  messages: [
    { role: 'user', content: 'a' },
    { role: 'assistant', content: 'b' },
  ],
});
const rows = (count: number) => Array.from({ length: count }, () => `${row}\n`).join('');
const dataset = (role: 'training' | 'validation') => ({
  jobId: setup.jobId,
  version: setup.version(),
  role,
  fileId: role === 'training' ? 'file-train' : 'file-valid',
});
const sources = async () => (await setup.events()).map(({ sourceId }) => sourceId);

describe('the check of a dataset', () => {
  it('counts the rows in an event, once', async () => {
    setup.contents.set('file-train', rows(12));
    for (let count = 0; count < 2; count += 1) {
      const { result } = await attempt(setup.activities.preflightDataset, dataset('training'));
      expect(result).toEqual({ status: 'validating_files', phase: 'validating' });
    }
    expect((await setup.events()).map(({ message }) => message)).toEqual([
      'Created',
      'Checked the training file file-train: 12 rows',
    ]);
  });

  it.each([
    ['training', 'training_file'],
    ['validation', 'validation_file'],
  ] as const)('of the %s file fails with the lines, in the message and in an event', async (role, param) => {
    setup.contents.set(dataset(role).fileId, `${rows(11)}{"messages": "none"}\nnot json\n`);
    const { failure } = await attempt(setup.activities.preflightDataset, dataset(role));
    expect(failure).toMatchObject({ type: 'invalid_training_file', nonRetryable: true, details: [{ param }] });
    expect(failure?.message).toMatch(/line 12.*line 13/s);
    expect((await setup.events()).at(-1)).toMatchObject({
      sourceId: `gateway:invalid_${role}_file`,
      level: 'error',
      data: { error_count: 2 },
    });
  });

  it('asks for enough rows for training, not for validation', async () => {
    for (const id of ['file-train', 'file-valid']) setup.contents.set(id, rows(3));
    expect((await attempt(setup.activities.preflightDataset, dataset('training'))).failure).toMatchObject({
      type: 'invalid_training_file',
    });
    expect((await attempt(setup.activities.preflightDataset, dataset('validation'))).failure).toBeNull();
  });

  it('is not made again where a create was begun: the file was good then', async () => {
    setup.contents.set('file-train', 'not json\n');
    await setup.submitBegunAgo(1_000);
    expect((await attempt(setup.activities.preflightDataset, dataset('training'))).failure).toBeNull();
  });

  it('of a file whose content is gone fails for good', async () => {
    expect((await attempt(setup.activities.preflightDataset, dataset('training'))).failure).toMatchObject({
      type: 'file_content_missing',
      nonRetryable: true,
    });
  });
});

describe('the upload of a dataset', () => {
  const upload = () => attempt(setup.activities.uploadDataset, dataset('training'));

  it('streams every byte and keeps the id, and repeated sends nothing', async () => {
    setup.contents.set('file-train', rows(12));
    expect((await upload()).result).toEqual({
      status: 'validating_files',
      phase: 'uploading',
      remoteFileId: 'remote-training',
    });
    expect(setup.vendor.files.get('remote-training')).toBe(rows(12));
    expect((await upload()).result).toMatchObject({ remoteFileId: 'remote-training' });
    expect(setup.vendor.called('uploadDataset')).toBe(1);
    expect((await setup.row()).remoteFiles).toEqual({ training: 'remote-training' });
    expect(await sources()).toEqual(['gateway:created', 'gateway:uploaded_training']);
  });

  it('that fails is tried again, and shows why meanwhile', async () => {
    setup.contents.set('file-train', rows(12));
    setup.vendor.fail('uploadDataset', refusal('provider_unavailable'));
    expect((await upload()).failure).toMatchObject({ type: 'provider_unavailable', nonRetryable: false });
    expect((await setup.row()).lastError).toMatchObject({ code: 'provider_unavailable' });
    expect((await upload()).failure).toBeNull();
    expect((await setup.row()).lastError).toBeNull();
  });

  it('that is cancelled ends as cancelled', async () => {
    const { createAttempts } = await import('../test/support/activity-setup.js');
    setup.contents.set('file-train', rows(12));
    const { failure } = await createAttempts(setup.activities.uploadDataset, dataset('training')).next((environment) =>
      environment.cancel('CANCELLED'),
    );
    expect(failure?.name).toBe('CancelledFailure');
    expect((await setup.row()).remoteFiles).toEqual({});
  });
});

describe('cleaning up', () => {
  const clean = (remove = true) =>
    attempt(setup.activities.deleteRemote, { jobId: setup.jobId, version: setup.version(9), remove });
  beforeEach(async () => {
    for (const role of ['training', 'validation'] as const) {
      setup.vendor.files.set(`remote-${role}`, 'x');
      await setup.dependencies.jobs.recordRemoteFile(setup.jobId, role, `remote-${role}`);
    }
  });

  it('deletes what was uploaded, and repeated nothing', async () => {
    expect((await clean()).failure).toBeNull();
    expect(setup.vendor.files.size).toBe(0);
    expect((await setup.row()).remoteFiles).toEqual({});
    await clean();
    expect(setup.vendor.called('deleteFile')).toBe(2);
  });

  it('does nothing where it was not asked to', async () => {
    await clean(false);
    expect(setup.vendor.files.size).toBe(2);
  });

  it('takes a file that is gone as deleted, tells one that may not be deleted, and waits for a provider that is away', async () => {
    setup.vendor.files.delete('remote-training');
    await clean();
    expect(await sources()).toEqual(['gateway:created']);

    await setup.dependencies.jobs.recordRemoteFile(setup.jobId, 'training', 'remote-training');
    setup.vendor.fail('deleteFile', refusal('provider_unavailable'));
    expect((await clean()).failure).toMatchObject({ type: 'provider_unavailable', nonRetryable: false });
    setup.vendor.fail('deleteFile', refusal('provider_auth_error', 403));
    expect((await clean()).failure).toBeNull();
    expect(await sources()).toEqual(['gateway:created', 'gateway:not_deleted_remote-training']);
  });

  it('deletes what an attempt left whose answer was lost, and asks nobody where nothing was ever sent', async () => {
    for (const role of ['training', 'validation'] as const) {
      await setup.dependencies.jobs.forgetRemoteFile(setup.jobId, role);
    }
    await clean();
    expect(setup.vendor.called('findDatasets')).toBe(0);
    await setup.dependencies.jobs.markUploadAttempted(setup.jobId);
    await clean();
    expect(setup.vendor.files.size).toBe(0);
  });
});
