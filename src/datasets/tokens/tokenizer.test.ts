import fc from 'fast-check';
import { encode as encodeCl100k } from 'gpt-tokenizer/encoding/cl100k_base';
import { encode as encodeO200k } from 'gpt-tokenizer/encoding/o200k_base';
import { describe, expect, test } from 'vitest';
import { modelTokens } from './encodings.js';
import { createTokenizer } from './tokenizer.js';

const ENCODINGS = [
  ['o200k_base', 'gpt-4o-mini', encodeO200k],
  ['cl100k_base', 'gpt-3.5-turbo', encodeCl100k],
] as const;
/** What looks like a special token is text. */
const AS_TEXT = { allowedSpecial: new Set<string>(), disallowedSpecial: new Set<string>() };

const SAMPLES = [
  '',
  ' ',
  'Hello, world! It’s 12345678 o’clock.\r\n\r\n\tdef f(x):\n    return x  # ok\n',
  "I'll don't WE'RE they'VE it'S 'quoted' ''",
  '<|endoftext|> and <|im_start|>',
  'ZEITGEISTs Überraschung naïve ﬁ ſ ǅ 東京都 مرحبا שלום हिन्दी ไทย 한국어',
  '👩‍👩‍👧‍👦 🇩🇪 e\u0301 \u200b\u00a0\u2028x',
  'a'.repeat(5_000),
  ' '.repeat(300) + 'x' + '\n'.repeat(50),
  JSON.stringify({ type: 'function', parameters: { a: [1, 2.5e-7, null, true] } }, null, 2),
  'lone \ud83d surrogate',
];

/** Letters, digits, marks and spaces that rules of splitting tell apart. */
const AWKWARD = 'aAzZ09\'’sStTlLvVrReE \t\r\n/.,-_"{}éÉßǅ東\u0301😀ـ';

describe.each(ENCODINGS)('the tokenizer for %s', (_, model, encode) => {
  const tokenizer = createTokenizer(modelTokens(model).encoding);
  const expected = (text: string): number => encode(Buffer.from(text).toString(), AS_TEXT).length;

  test.each(SAMPLES)('counts %j as the library does', (text) => {
    expect(tokenizer.count(text)).toBe(expected(text));
    // Again, from what it remembers.
    expect(tokenizer.count(text)).toBe(expected(text));
  });

  test('counts any text as the library does', () => {
    const word = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: 'grapheme' }),
      fc.string({ unit: fc.constantFrom(...Array.from(AWKWARD)) }),
      fc.constantFrom(...SAMPLES.slice(0, 7)),
    );
    fc.assert(
      fc.property(fc.array(word), (words) => {
        const text = words.join('');
        expect(tokenizer.count(text)).toBe(expected(text));
      }),
      { numRuns: 1_000 },
    );
  });
});
