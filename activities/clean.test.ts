import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { JsonValue } from '../src/domain/json.js';
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

const clean = (remove = true) =>
  attempt(setup.activities.deleteRemote, { jobId: setup.jobId, version: setup.version(9), remove });
const sources = async () => (await setup.events()).map(({ sourceId }) => sourceId);

describe('cleaning up', () => {
  beforeEach(async () => {
    for (const role of ['training', 'validation'] as const) {
      setup.vendor.files.set(`remote-${role}`, 'x');
      await setup.uploaded(role, `remote-${role}`);
    }
  });

  it('deletes what was uploaded, and repeated nothing', async () => {
    expect((await clean()).failure).toBeNull();
    expect(setup.vendor.files.size).toBe(0);
    expect((await setup.row()).remoteFiles).toEqual({});
    await clean();
    expect(setup.vendor.called('deleteFile')).toBe(2);
  });

  it('deletes nothing where it was not asked to', async () => {
    await clean(false);
    expect(setup.vendor.files.size).toBe(2);
    expect(setup.vendor.calls).toEqual([]);
  });

  it('takes a file that is gone as deleted, tells one that may not be deleted, and waits for a provider that is away', async () => {
    setup.vendor.files.delete('remote-training');
    await clean();
    expect(await sources()).toEqual(['gateway:created']);

    await setup.uploaded('training', 'remote-training');
    setup.vendor.fail('deleteFile', refusal('provider_unavailable'));
    expect((await clean()).failure).toMatchObject({ type: 'provider_unavailable', nonRetryable: false });
    setup.vendor.fail('deleteFile', refusal('provider_auth_error', 403));
    expect((await clean()).failure).toBeNull();
    expect(await sources()).toEqual(['gateway:created', 'gateway:not_deleted_remote-training']);
  });

  it('deletes what an attempt left whose answer was lost', async () => {
    for (const role of ['training', 'validation'] as const) {
      await setup.dependencies.jobUploads.forgetRemoteFile(setup.jobId, role);
    }
    await clean();
    expect(setup.vendor.files.size).toBe(0);
  });
});

it('cleaning up asks nobody where nothing was ever sent', async () => {
  expect((await clean()).failure).toBeNull();
  expect(setup.vendor.calls).toEqual([]);
});

describe('cleaning up what is half-done', () => {
  const HALF: JsonValue = { uploadId: 'upload-1' };
  const leaveHalf = async (role: 'training' | 'validation' = 'training') => {
    const claim = await setup.dependencies.jobUploads.claim(setup.jobId, role);
    if (claim === null) throw new Error('no claim');
    await setup.dependencies.jobUploads.save(setup.jobId, claim, HALF);
    return claim;
  };
  const end = () => setup.dependencies.jobs.recordState(setup.jobId, setup.version(5), { status: 'cancelled' });

  it('gives it up whatever the policy says of whole files', async () => {
    setup.vendor.files.set('remote-validation', 'x');
    await setup.uploaded('validation', 'remote-validation');
    await leaveHalf();
    await end();
    expect((await clean(false)).failure).toBeNull();
    expect(setup.vendor.calls).toEqual([`discardUpload ${JSON.stringify(HALF)}`]);
    expect(setup.vendor.files.size).toBe(1);
    await clean(false);
    expect(setup.vendor.called('discardUpload')).toBe(1);
  });

  it('gives up both files’ before it deletes what is whole', async () => {
    await leaveHalf();
    await leaveHalf('validation');
    await clean();
    expect(setup.vendor.calls.map((call) => call.split(' ')[0])).toEqual([
      'discardUpload',
      'discardUpload',
      'findDatasets',
    ]);
  });

  it('waits for a provider that is away, and tells a refusal', async () => {
    await leaveHalf();
    setup.vendor.fail('discardUpload', refusal('provider_unavailable'));
    expect((await clean(false)).failure).toMatchObject({ type: 'provider_unavailable', nonRetryable: false });
    setup.vendor.fail('discardUpload', refusal('provider_auth_error', 401));
    expect((await clean(false)).failure).toBeNull();
    expect((await setup.events()).at(-1)).toMatchObject({
      sourceId: 'gateway:not_discarded_training',
      level: 'warn',
      data: { code: 'provider_auth_error' },
    });
  });

  it('takes the right to write from an attempt that is late', async () => {
    const claim = await leaveHalf();
    await setup.dependencies.jobUploads.save(setup.jobId, claim, null);
    await end();
    await clean(false);
    expect(await setup.dependencies.jobUploads.save(setup.jobId, claim, HALF)).toBe(false);
    expect(await setup.dependencies.jobUploads.recordRemoteFile(setup.jobId, claim, 'late')).toBe(false);
    expect(await setup.dependencies.jobUploads.claim(setup.jobId, 'training')).toBeNull();
    expect(setup.vendor.calls).toEqual([]);
  });
});
