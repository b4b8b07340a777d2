import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { attempt, createActivitySetup, type ActivitySetup } from '../test/support/activity-setup.js';
import { createTestDatabase, type TestDatabase } from '../test/support/database.js';

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

  it('tells duplicates and warnings in numbers, and rows that the vendor will cut in an event of their own', async () => {
    const long = JSON.stringify({
      messages: [
        { role: 'user', content: 'word '.repeat(70_000) },
        { role: 'assistant', content: 'b' },
      ],
    });
    setup.contents.set('file-train', `${rows(12)}${long}\n`);
    expect((await attempt(setup.activities.preflightDataset, dataset('training'))).failure).toBeNull();
    const [, checked, tooLong] = await setup.events();
    expect(checked).toMatchObject({ level: 'info', data: { rows: 13, duplicates: 11, warnings: expect.any(Number) } });
    expect(tooLong).toMatchObject({
      sourceId: 'gateway:too_long_training',
      level: 'warn',
      message: expect.stringMatching(/^1 row has more than the \d+ tokens .* openai cuts/),
      data: { rows: 1 },
    });
    expect(JSON.stringify(await setup.events())).not.toContain('word word');
  });

  it('keeps to the limits of the installation', async () => {
    setup = await createActivitySetup(test.database, { maxDatasetRows: 11 });
    setup.contents.set('file-train', rows(12));
    expect((await attempt(setup.activities.preflightDataset, dataset('training'))).failure).toMatchObject({
      type: 'invalid_training_file',
    });
    setup.contents.set('file-train', `${rows(10)}${'x'.repeat(1_000_001)}\n`);
    expect((await attempt(setup.activities.preflightDataset, dataset('training'))).failure).toMatchObject({
      type: 'invalid_training_file',
      message: expect.stringContaining('line 11'),
    });
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
