import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createActivitySetup, type ActivitySetup } from '../../test/support/activity-setup.js';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { createJobUploadsRepository, type JobUploadsRepository, type UploadClaim } from './job-uploads.js';

let test: TestDatabase;
let setup: ActivitySetup;
let uploads: JobUploadsRepository;
beforeAll(async () => {
  test = await createTestDatabase();
});
afterAll(() => test.drop());
beforeEach(async () => {
  setup = await createActivitySetup(test.database);
  uploads = createJobUploadsRepository(test.database);
});

const claim = async (role: 'training' | 'validation'): Promise<UploadClaim> => {
  const claimed = await uploads.claim(setup.jobId, role);
  if (claimed === null) throw new Error(`the ${role} file cannot be claimed`);
  return claimed;
};

describe('what an upload saves', () => {
  it('is kept as it is, and given to the next claim, which is the only one that may write', async () => {
    const first = await claim('training');
    expect(first.saved).toBeNull();
    const saved = { uploadId: 'Upload-ü', partIds: ['b', 'a'], nested_key: { camelCase: 1 } };
    expect(await uploads.save(setup.jobId, first, saved)).toBe(true);
    const second = await claim('training');
    expect(second.saved).toEqual(saved);
    expect(await uploads.save(setup.jobId, first, { stale: true })).toBe(false);
    expect(await uploads.recordRemoteFile(setup.jobId, first, 'stale')).toBe(false);
    expect((await setup.row()).uploadProgress).toEqual({ training: { claim: second.id, saved } });
    expect((await setup.row()).remoteFiles).toEqual({});
  });

  it('of both files of a job stays apart, however it is written', async () => {
    const claims = await Promise.all([claim('training'), claim('validation')]);
    await Promise.all(
      Array.from({ length: 10 }, (_, part) => claims.map((each) => uploads.save(setup.jobId, each, { part }))).flat(),
    );
    const { uploadProgress } = await setup.row();
    expect(Object.keys(uploadProgress).sort()).toEqual(['training', 'validation']);
    const [training] = claims;
    expect(await uploads.recordRemoteFile(setup.jobId, training, 'whole')).toBe(true);
    const after = await setup.row();
    expect(after.remoteFiles).toEqual({ training: 'whole' });
    expect(Object.keys(after.uploadProgress)).toEqual(['validation']);
    expect(await uploads.claim(setup.jobId, 'training')).toBeNull();
  });

  it('is claimed at the job’s end with what it is, from whoever held it', async () => {
    const [training] = await Promise.all([claim('training'), claim('validation')]);
    await uploads.save(setup.jobId, training, 'half');
    await setup.dependencies.jobs.recordState(setup.jobId, setup.version(), { status: 'failed' });
    expect(await uploads.claimHalfDone(setup.jobId)).toMatchObject([
      { role: 'training', saved: 'half' },
      { role: 'validation', saved: null },
    ]);
    expect(await uploads.save(setup.jobId, training, 'more')).toBe(false);
    expect(await uploads.claim(setup.jobId, 'validation')).toBeNull();
  });

  it('is nothing for a job that never began an upload', async () => {
    expect(await uploads.claimHalfDone(setup.jobId)).toEqual([]);
    expect(await uploads.claim('ftjob-unknown', 'training')).toBeNull();
  });
});
