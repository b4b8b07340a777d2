import type { Request } from 'express';
import { z } from 'zod';
import { GatewayError } from '../domain/errors.js';
import { parseInput } from '../domain/parse-input.js';

export interface QueryOptions {
  /** Parameters written as `name[key]=value`, such as `metadata`; the schema sees an object of strings. */
  readonly deepObjects?: readonly string[];
}

const MAX_PARAMETERS = 100;

/**
 * The query string through a strict schema of strings; 400 with `param`. A parameter that is given twice, or that the schema
 * does not have, is refused: a filter that is ignored in silence answers another question than was asked.
 */
export function parseQuery<Schema extends z.ZodType>(
  request: Request,
  schema: Schema,
  options: QueryOptions = {},
): z.output<Schema> {
  return parseInput(schema, queryValues(request, options.deepObjects ?? []));
}

function queryValues(request: Request, deepObjects: readonly string[]): Record<string, unknown> {
  const start = request.originalUrl.indexOf('?');
  const search = new URLSearchParams(start === -1 ? '' : request.originalUrl.slice(start + 1));
  const values = new Map<string, string | Map<string, string>>();
  let count = 0;
  for (const [name, value] of search) {
    if (++count > MAX_PARAMETERS)
      throw new GatewayError('invalid_request', `More than ${MAX_PARAMETERS} query parameters.`);
    if (name.includes('\0') || value.includes('\0')) {
      throw new GatewayError('invalid_request', 'A query parameter contains the character U+0000.');
    }
    const [, base = '', key = ''] = /^([^[\]]+)\[(.*)\]$/s.exec(name) ?? [];
    if (name === '__proto__' || key === '__proto__') {
      // Objects lose a key of this name.
      throw new GatewayError('invalid_request', `'${name}' cannot be a query parameter.`, { param: name });
    }
    const isDeep = deepObjects.includes(base);
    const target = isDeep ? base : name;
    const known = values.get(target);
    if (known === undefined) {
      values.set(target, isDeep ? new Map([[key, value]]) : value);
    } else if (isDeep && known instanceof Map && !known.has(key)) {
      known.set(key, value);
    } else {
      throw new GatewayError('invalid_request', `The query parameter '${name}' is given more than once.`, {
        param: name,
      });
    }
  }
  return Object.fromEntries(
    [...values].map(([name, value]) => [name, value instanceof Map ? Object.fromEntries(value) : value]),
  );
}

export interface CursorLimits {
  readonly defaultLimit: number;
  readonly maxLimit: number;
}

/** OpenAI's list parameters, to spread into a strict schema: `after`, `limit`. Empty strings count as absent. */
export function cursorParameters(limits: CursorLimits): {
  after: z.ZodType<string | undefined>;
  limit: z.ZodType<number>;
} {
  const range = `expected an integer between 1 and ${limits.maxLimit}`;
  return {
    after: optionalText(),
    limit: optionalText()
      .refine(
        (text) =>
          text === undefined || (/^\d{1,9}$/.test(text) && Number(text) >= 1 && Number(text) <= limits.maxLimit),
        range,
      )
      .transform((text) => (text === undefined ? limits.defaultLimit : Number(text))),
  };
}

/** OpenAI's `order`, newest first where not given. */
export function orderParameter(): z.ZodType<'asc' | 'desc'> {
  return optionalText()
    .refine((text) => text === undefined || text === 'asc' || text === 'desc', "expected 'asc' or 'desc'")
    .transform((text) => (text === 'asc' ? 'asc' : 'desc'));
}

/** A string parameter that may be left out; empty is the same. */
export function optionalText(): z.ZodType<string | undefined> {
  return z
    .string()
    .optional()
    .transform((text) => (text === '' ? undefined : text));
}
