import type { CheckName } from './checks.js';
import { describeFound, describeKey } from './report.js';

/** Where something stands in a row; null is the row itself. A chain, so that a path costs nothing until it is told. */
export type Path = PathStep | null;

export interface PathStep {
  readonly base: Path;
  readonly key: string | number;
}

/** Takes one problem of the row under examination. */
export type RowProblems = (check: CheckName, path: Path, found: unknown, expected: string) => void;

/** A JSON object whose keys are not known yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** True for a JSON object. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The value under `key` of what stands at `base`. */
export function at(base: Path, key: string | number): PathStep {
  return { base, key };
}

/** The keys and positions from the row down. */
export function pathSteps(path: Path): (string | number)[] {
  const steps: (string | number)[] = [];
  for (let step = path; step !== null; step = step.base) steps.push(step.key);
  return steps.reverse();
}

/** The chain of keys and positions. */
export function pathOf(steps: readonly (string | number)[]): Path {
  let path: Path = null;
  for (const step of steps) path = at(path, step);
  return path;
}

/** Steps that a path shows: a graders' schema can nest without end, and an event must stay short. */
const MAX_SHOWN_STEPS = 12;

/** A path as reports have it, such as `messages[2].role`; empty for the row. Keys that are long or odd are quoted and cut. */
export function formatPath(path: Path): string {
  const steps = pathSteps(path);
  let text = '';
  for (const step of steps.slice(0, MAX_SHOWN_STEPS)) {
    if (typeof step === 'number') text += `[${step}]`;
    else text += text === '' ? describeKey(step) : `.${describeKey(step)}`;
  }
  return steps.length > MAX_SHOWN_STEPS ? `${text}…` : text;
}

/** The sentence of a problem: "messages[2].role must be one of … (found "assistent")". */
export function problemMessage(path: string, found: unknown, expected: string, verb: 'must' | 'should'): string {
  return `${path === '' ? 'the row' : path} ${verb} be ${expected} (found ${describeFound(found)})`;
}

/** Reports keys that are not in the list. */
export function refuseUnknownKeys(fields: Fields, known: ReadonlySet<string>, base: Path, problems: RowProblems): void {
  for (const key in fields) {
    if (!known.has(key)) {
      problems('unknown_key', at(base, key), fields[key], `absent; known keys here are ${[...known].join(', ')}`);
    }
  }
}
