import { PassThrough } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { createProgress } from './progress.js';

const streamOf = (terminal: { readonly isTTY?: boolean; readonly columns?: number }) => {
  const stream = Object.assign(new PassThrough(), terminal);
  return { stream, text: () => String(stream.read() ?? '') };
};

describe('progress', () => {
  test.each([{}, { isTTY: false, columns: 80 }, { isTTY: true, columns: 0 }, { isTTY: true }])(
    'is lines, each kind once, where a line cannot be drawn over: %j',
    (terminal) => {
      const { stream, text } = streamOf(terminal);
      const progress = createProgress(stream);
      progress.step('Reading 1 MiB');
      progress.step('Reading 2 MiB');
      progress.step('Checking');
      progress.done('ready');
      progress.stop();
      expect(text()).toBe('tunesmith: Reading 1 MiB\ntunesmith: Checking\ntunesmith: ready\n');
    },
  );
});
