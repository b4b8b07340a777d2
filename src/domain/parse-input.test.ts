import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { GatewayError } from './errors.js';
import { parseInput } from './parse-input.js';

const count = z.union([z.literal('auto'), z.int().min(1).max(50)]);
const schema = z.strictObject({
  model: z.string(),
  suffix: z.string().max(5).optional(),
  method: z
    .discriminatedUnion('type', [
      z.strictObject({ type: z.literal('supervised'), supervised: z.strictObject({ n_epochs: count }).optional() }),
      z.strictObject({ type: z.literal('dpo') }),
    ])
    .optional(),
  items: z.array(z.strictObject({ name: z.string() })).optional(),
  either: z.union([z.string(), z.strictObject({ deep: z.number() })]).optional(),
});

const refusal = (value: unknown): GatewayError => {
  try {
    parseInput(schema, value);
  } catch (error) {
    if (error instanceof GatewayError) return error;
  }
  throw new Error('the value was taken');
};

describe('input of a caller', () => {
  test('comes out as the schema says', () => {
    expect(parseInput(schema, { model: 'm', items: [{ name: 'a' }] })).toEqual({ model: 'm', items: [{ name: 'a' }] });
  });

  test.each([
    [{}, 'model', "Missing required parameter: 'model'."],
    [{ model: 1 }, 'model', "Invalid value for 'model': expected string, received number."],
    [{ model: null }, 'model', "Invalid value for 'model': expected string, received null."],
    [
      { model: 'm', suffix: 'too long' },
      'suffix',
      "Invalid value for 'suffix': too big: expected string to have <=5 characters.",
    ],
    [{ model: 'm', items: [{ name: 'a' }, {}] }, 'items[1].name', "Missing required parameter: 'items[1].name'."],
    [
      { model: 'm', either: { deep: 'x' } },
      'either.deep',
      "Invalid value for 'either.deep': expected number, received string.",
    ],
  ])('that is wrong is 400 with the path and the reason: %j', (value, param, message) => {
    expect(refusal(value)).toMatchObject({ code: 'invalid_request', param, message });
  });

  test('that no form of a union takes is told all forms', () => {
    const error = refusal({ model: 'm', method: { type: 'supervised', supervised: { n_epochs: 'two' } } });
    expect(error.param).toBe('method.supervised.n_epochs');
    expect(error.message).toContain('"auto"');
    expect(error.message).toContain('expected number');
  });

  test('with a key that is not known is unknown_parameter, with its path', () => {
    expect(refusal({ model: 'm', extra: 1 })).toMatchObject({
      code: 'unknown_parameter',
      param: 'extra',
      message: "Unknown parameter: 'extra'.",
    });
    expect(refusal({ model: 'm', items: [{ name: 'a', more: 1 }] })).toMatchObject({
      code: 'unknown_parameter',
      param: 'items[0].more',
    });
  });

  test('is never repeated', () => {
    for (const value of [
      { model: ['canary'] },
      { model: 'm', suffix: 'canary-long' },
      { model: 'm', method: { type: 'canary' } },
      { model: 'm', either: 5 },
    ]) {
      expect(refusal(value).message).not.toContain('canary');
    }
  });
});
