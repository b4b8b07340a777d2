import type { CheckName } from './checks.js';
import { walkJson, type JsonStep } from './json-walk.js';
import { shorten } from './report.js';
import { formatPath, isFields, pathOf } from './row-errors.js';

/** What `JSON.parse` hides or changes without a word. */
export interface RowFlaw {
  readonly check: Extract<CheckName, 'duplicate_key' | 'number_out_of_range' | 'inexact_integer' | 'lone_surrogate'>;
  readonly path: string;
  /** From 0. */
  readonly offset: number;
  readonly found: string;
  readonly expected: string;
  readonly message: string;
}

const COLON = ':';
const QUOTE = 0x22;
const BACKSLASH = 0x5c;
/** Deeper rows are walked, which needs no stack. */
const MAX_DEPTH = 500;
const FIRST_INEXACT = 2 ** 53;
const SURROGATE = /[\uD800-\uDFFF]/;
const LONE_SURROGATE = /\p{Surrogate}/u;
const INTEGER = /^-?\d+$/;

/**
 * Whether a row needs `findFlaws`; never false where there is one. Every key ends in a quote, perhaps spaces, and a colon;
 * such ends are counted with native searches and compared with the keys that the parser kept. A string that begins with a
 * colon is counted too, which costs a walk and no more.
 */
export function mayHaveFlaws(text: string, row: unknown): boolean {
  return countKeyEnds(text) !== countKeys(row, 0);
}

/** NaN, which equals nothing, where a value must be looked at in the text. */
function countKeys(value: unknown, depth: number): number {
  if (typeof value === 'string') return hasLoneSurrogate(value) ? NaN : 0;
  if (typeof value === 'number') return value < FIRST_INEXACT && value > -FIRST_INEXACT ? 0 : NaN;
  if (typeof value !== 'object' || value === null) return 0;
  if (depth > MAX_DEPTH) return NaN;
  let count = 0;
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) count += countKeys(value[index], depth + 1);
    return count;
  }
  if (!isFields(value)) return count;
  for (const key in value) {
    if (hasLoneSurrogate(key)) return NaN;
    count += 1 + countKeys(value[key], depth + 1);
  }
  return count;
}

/** The first search ends at once in text without any character beyond U+00FF: the engine knows that none can match. */
function hasLoneSurrogate(text: string): boolean {
  return SURROGATE.test(text) && LONE_SURROGATE.test(text);
}

function countKeyEnds(text: string): number {
  let count = 0;
  for (let colon = text.indexOf(COLON); colon !== -1; colon = text.indexOf(COLON, colon + 1)) {
    let before = colon - 1;
    let code = text.charCodeAt(before);
    while (code === 0x20 || code === 0x09 || code === 0x0d) {
      before -= 1;
      code = text.charCodeAt(before);
    }
    if (code === QUOTE && !isEscaped(text, before)) count += 1;
  }
  return count;
}

function isEscaped(text: string, offset: number): boolean {
  let start = offset;
  while (text.charCodeAt(start - 1) === BACKSLASH) start -= 1;
  return (offset - start) % 2 === 1;
}

/** All flaws of a row's text, which is valid JSON. */
export function findFlaws(text: string): RowFlaw[] {
  const flaws: RowFlaw[] = [];
  /** The keys of the open objects, by depth. */
  const keys: Set<JsonStep | undefined>[] = [];
  const lone = (steps: readonly JsonStep[], offset: number): void => {
    const path = formatPath(pathOf(steps));
    flaws.push({
      check: 'lone_surrogate',
      path,
      offset,
      found: 'half of a surrogate pair',
      expected: 'an escape with its other half',
      message: `${path === '' ? 'the row' : path} has half of a surrogate pair, which is no character`,
    });
  };
  walkJson(text, {
    onObject: (depth) => {
      keys[depth] = new Set();
    },
    onKey: (steps, offset) => {
      const key = steps.at(-1);
      const known = keys[steps.length - 1];
      if (known?.has(key) === true) {
        const path = formatPath(pathOf(steps));
        const expected = 'once in its object';
        const message = `${path} must stand once in its object (found it again)`;
        flaws.push({ check: 'duplicate_key', path, offset, found: 'the key again', expected, message });
      }
      known?.add(key);
      if (typeof key === 'string' && LONE_SURROGATE.test(key)) lone(steps, offset);
    },
    onScalar: (steps, start, end) => {
      const first = text[start];
      if (first === '"') {
        const escape = text.indexOf('\\u', start);
        if (escape === -1 || escape >= end) return;
        if (LONE_SURROGATE.test(String(JSON.parse(text.slice(start, end))))) lone(steps, start);
      } else if (first !== 't' && first !== 'f' && first !== 'n') {
        const flaw = numberFlaw(text.slice(start, end), steps, start);
        if (flaw !== null) flaws.push(flaw);
      }
    },
  });
  return flaws;
}

function numberFlaw(literal: string, steps: readonly JsonStep[], offset: number): RowFlaw | null {
  const value = Number(literal);
  const found = shorten(literal, 40);
  if (!Number.isFinite(value)) {
    const path = formatPath(pathOf(steps));
    const expected = 'a number that a double can hold';
    const message = `${path} must be ${expected} (found ${found})`;
    return { check: 'number_out_of_range', path, offset, found, expected, message };
  }
  // A double has at most 309 digits, so BigInt is never asked for more.
  if (Math.abs(value) < FIRST_INEXACT || !INTEGER.test(literal) || BigInt(value) === BigInt(literal)) return null;
  const path = formatPath(pathOf(steps));
  const expected = 'an integer that a double holds exactly';
  const message = `${path} should be ${expected}: ${found} is read as ${shorten(String(BigInt(value)), 40)}`;
  return { check: 'inexact_integer', path, offset, found, expected, message };
}
