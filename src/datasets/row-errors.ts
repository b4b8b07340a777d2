import { describeFound, describeKey } from './report.js';

/** Takes one error of the row under examination. */
export type RowErrors = (path: string, found: unknown, expected: string) => void;

/** A JSON object whose keys are not known yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** True for a JSON object. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `base.key`, or `key` where the base is the row. */
export function at(base: string, key: string): string {
  return base === '' ? key : `${base}.${key}`;
}

/** The sentence of an error: "messages[2].role must be one of … (found "assistent")". */
export function errorMessage(path: string, found: unknown, expected: string): string {
  return `${path === '' ? 'the row' : path} must be ${expected} (found ${describeFound(found)})`;
}

/** Reports keys that are not in the list. */
export function refuseUnknownKeys(fields: Fields, known: ReadonlySet<string>, base: string, errors: RowErrors): void {
  for (const key in fields) {
    if (!known.has(key))
      errors(at(base, describeKey(key)), fields[key], `absent; known keys here are ${[...known].join(', ')}`);
  }
}
