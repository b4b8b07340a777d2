import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findJsonError } from './json-text.js';

test('whatever JSON.stringify writes has no error', () => {
  fc.assert(fc.property(fc.json(), (text) => findJsonError(text) === null));
});

test('it agrees with JSON.parse about any text', () => {
  const pieces = fc.constantFrom(
    '{',
    '}',
    '[',
    ']',
    ',',
    ':',
    '"',
    '"a"',
    '\\',
    '\\u00',
    '1',
    '-',
    '0',
    '.5',
    'e3',
    'true',
    'nul',
    ' ',
    '\n',
    '\t',
    '\u0001',
  );
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 12 }), (parts) => {
      const text = parts.join('');
      let parses = true;
      try {
        JSON.parse(text);
      } catch {
        parses = false;
      }
      return (findJsonError(text) === null) === parses;
    }),
    { numRuns: 2_000 },
  );
});

test.each([
  ['', 0, 1, 1],
  ['{"a":1}x', 7, 1, 8],
  ['[1,\n2,\n]', 7, 3, 1],
  ['{"a" 1}', 5, 1, 6],
  ['{a:1}', 1, 1, 2],
  ['["line\nbreak"]', 6, 1, 7],
])('%j goes wrong at offset %i (line %i, column %i)', (text, offset, line, column) => {
  expect(findJsonError(text)).toEqual({ offset, line, column });
});
