import { describe, expect, it } from 'vitest';
import { CHECK_EXAMPLES, CHECKS, exampleContent, preflight, type CheckExample } from './index.js';

async function* once(bytes: Uint8Array): AsyncIterable<Uint8Array> {
  yield await Promise.resolve(bytes);
}

const named = CHECK_EXAMPLES.map((example): [string, number, CheckExample] => [
  example.check,
  CHECK_EXAMPLES.filter(({ check }) => check === example.check).indexOf(example) + 1,
  example,
]);

describe('the examples of checks', () => {
  it('have at least one for each check', () => {
    expect(new Set(CHECK_EXAMPLES.map(({ check }) => check))).toEqual(new Set(Object.keys(CHECKS)));
  });

  it.each(named)('of %s, number %i, is found at its line and nothing else', async (_name, _number, example) => {
    const { check, line, message, method, role, options } = example;
    const content = once(exampleContent(example));
    const report = await preflight(content, { method, role, ...options }, new AbortController().signal);
    const { severity } = CHECKS[check];
    expect(severity === 'error' ? report.errors : report.warnings).toMatchObject([{ check, line, message }]);
    expect([report.errorCount, report.warningCount]).toEqual(severity === 'error' ? [1, 0] : [0, 1]);
  });
});
