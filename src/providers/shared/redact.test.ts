import { describe, expect, it } from 'vitest';
import { redactSecrets } from './redact.js';

describe('redactSecrets', () => {
  it.each([
    ['the key itself, whatever its form', 'refused: tk_odd:key', ['tk_odd:key'], 'refused: [redacted]'],
    [
      'a masked key',
      'Incorrect API key provided: ab****yz. Find yours',
      [],
      'Incorrect API key provided: [redacted] Find yours',
    ],
    ['any key of OpenAI’s form', 'see sk-proj-1234_abcd here', [], 'see [redacted] here'],
    ['a bearer token', 'sent Authorization: Bearer eyJhbGciOi', [], 'sent Authorization: Bearer [redacted]'],
    ['nothing else', 'Line 3 of task-list.jsonl is wrong', [''], 'Line 3 of task-list.jsonl is wrong'],
  ])('hides %s', (_what, text, secrets, expected) => {
    expect(redactSecrets(text, secrets)).toBe(expected);
  });
});
