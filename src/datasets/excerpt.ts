import { walkJson } from './json-walk.js';
import type { Excerpt } from './preflight-report.js';
import { pathSteps, type Path } from './row-errors.js';

const BEFORE_CHARACTERS = 30;
const AFTER_CHARACTERS = 50;
/** Longer lines are not searched for a path: it would keep the event loop too long. */
const MAX_SEARCHED_CHARACTERS = 4 * 1024 * 1024;
const UNPRINTABLE = /[\p{Control}\p{Surrogate}\p{Line_Separator}\p{Paragraph_Separator}\p{Bidi_Control}\uFEFF]/gu;

/** The part of a line around an offset, fit for one line of a terminal. */
export function createExcerpt(line: string, offset: number): Excerpt {
  const place = Math.min(offset, line.length);
  let start = Math.max(0, place - BEFORE_CHARACTERS);
  let end = Math.min(line.length, Math.max(place, BEFORE_CHARACTERS) + AFTER_CHARACTERS);
  if (isLowHalf(line, start)) start -= 1;
  if (isLowHalf(line, end)) end += 1;
  const before = start > 0 ? '…' : '';
  const after = end < line.length ? '…' : '';
  // One character for each: the caret must stay below its place.
  const text = `${before}${line.slice(start, end).replace(UNPRINTABLE, '·')}${after}`;
  return { text, caret: place - start + before.length };
}

/** Whether a cut at `offset` would part the halves of a surrogate pair. */
function isLowHalf(line: string, offset: number): boolean {
  return /^[\uD800-\uDBFF][\uDC00-\uDFFF]$/.test(line.slice(Math.max(0, offset - 1), offset + 1));
}

/**
 * Where a path is in the text of a row, from 0: the value there, or the key; of what is missing, the innermost object or list
 * that is there. Null where the line is too long to look.
 */
export function findOffset(line: string, path: Path, what: 'key' | 'value'): number | null {
  if (line.length > MAX_SEARCHED_CHARACTERS) return null;
  const target = pathSteps(path);
  let found = 0;
  let foundLength = -1;
  const leadsToTarget = (steps: readonly (string | number)[]): boolean =>
    steps.length >= foundLength &&
    steps.length <= target.length &&
    steps.every((step, index) => step === target[index]);
  walkJson(line, {
    onKey: (steps, offset) => {
      if (what !== 'key' || steps.length !== target.length || !leadsToTarget(steps)) return;
      found = offset;
      foundLength = steps.length;
    },
    onValue: (steps, offset) => {
      if ((what === 'key' && steps.length === target.length) || !leadsToTarget(steps)) return;
      found = offset;
      foundLength = steps.length;
    },
  });
  return found;
}
