/** A key of an object, or a position in a list. */
export type JsonStep = string | number;

/** What a walk tells of. `steps` is the way down from the top, valid during the call only. */
export interface JsonEvents {
  /** An object begins; its keys come with `depth + 1` steps. */
  readonly onObject?: (depth: number) => void;
  /** A key at `offset`, its quote; the last step is the key. */
  readonly onKey?: (steps: readonly JsonStep[], offset: number) => void;
  /** Any value begins. */
  readonly onValue?: (steps: readonly JsonStep[], offset: number) => void;
  /** A string, number, or word, after its `onValue`. */
  readonly onScalar?: (steps: readonly JsonStep[], start: number, end: number) => void;
}

/** Where a text stops being JSON. */
export interface JsonFault {
  /** From 0; the length of the text where it ends too early. */
  readonly offset: number;
  readonly expected: string;
  /** Whether the text is good as far as it goes, and lacks its end. */
  readonly endsEarly: boolean;
  /** How much was open there: 0 outside of any object and list. */
  readonly depth: number;
  readonly inString: boolean;
}

type State = 'value' | 'value or end' | 'key' | 'key or end' | 'comma or end' | 'nothing';

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const PART_OF_NUMBER = /-?\d*(?:\.\d*)?(?:[eE][+-]?\d*)?$/y;
const WORDS = ['true', 'false', 'null'];
/** What ends a run of plain characters in a string. */
const SPECIAL = /["\\\u0000-\u001f]/g;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const PART_OF_ESCAPE = /\\(?:u[0-9a-fA-F]{0,3})?$/y;

/**
 * Reads a text by the grammar of JSON, and tells what it meets. It is for lines that are at fault, or may be: `JSON.parse` is
 * several times faster, but drops values of repeated keys, knows no positions, and its messages differ from one Node to the
 * next. Without recursion: rows may nest as deep as they like.
 */
export function walkJson(text: string, events: JsonEvents = {}): JsonFault | null {
  const steps: JsonStep[] = [];
  let offset = skipSpace(text, 0);
  let state: State = 'value';
  const fault = (expected: string, at = offset, endsEarly = at >= text.length, inString = false): JsonFault => ({
    offset: endsEarly ? text.length : at,
    expected,
    endsEarly,
    depth: steps.length,
    inString,
  });

  for (;;) {
    const character = text[offset];
    if (state === 'nothing') return character === undefined ? null : fault('nothing after the row');
    if (state === 'comma or end') {
      const isList = typeof steps.at(-1) === 'number';
      if (character === ',') {
        state = isList ? 'value' : 'key';
        const last = steps.at(-1);
        if (typeof last === 'number') steps[steps.length - 1] = last + 1;
        offset = skipSpace(text, offset + 1);
      } else if (character === (isList ? ']' : '}')) {
        steps.pop();
        state = steps.length === 0 ? 'nothing' : 'comma or end';
        offset = skipSpace(text, offset + 1);
      } else return fault(isList ? 'a comma or ]' : 'a comma or }');
    } else if (state === 'key' || state === 'key or end') {
      if (character === '}' && state === 'key or end') {
        steps.pop();
        state = steps.length === 0 ? 'nothing' : 'comma or end';
        offset = skipSpace(text, offset + 1);
      } else if (character === '"') {
        const end = endOfString(text, offset);
        if (typeof end !== 'number') return fault(end.expected, end.offset, end.endsEarly, true);
        steps[steps.length - 1] = String(JSON.parse(text.slice(offset, end)));
        events.onKey?.(steps, offset);
        offset = skipSpace(text, end);
        if (text[offset] !== ':') return fault('a colon');
        offset = skipSpace(text, offset + 1);
        state = 'value';
      } else return fault(state === 'key' ? 'a key in double quotes' : 'a key in double quotes, or }');
    } else if (character === ']' && state === 'value or end') {
      steps.pop();
      state = steps.length === 0 ? 'nothing' : 'comma or end';
      offset = skipSpace(text, offset + 1);
    } else {
      if (character === undefined) return fault('a value');
      events.onValue?.(steps, offset);
      if (character === '{') {
        events.onObject?.(steps.length);
        steps.push('');
        state = 'key or end';
        offset = skipSpace(text, offset + 1);
        continue;
      }
      if (character === '[') {
        steps.push(0);
        state = 'value or end';
        offset = skipSpace(text, offset + 1);
        continue;
      }
      let end: number;
      if (character === '"') {
        const stringEnd = endOfString(text, offset);
        if (typeof stringEnd !== 'number')
          return fault(stringEnd.expected, stringEnd.offset, stringEnd.endsEarly, true);
        end = stringEnd;
      } else {
        end = endOfWord(text, offset);
        if (end === -1) return fault('a value', offset, true);
        if (end === offset) return fault('a value');
      }
      events.onScalar?.(steps, offset, end);
      state = steps.length === 0 ? 'nothing' : 'comma or end';
      offset = skipSpace(text, end);
    }
  }
}

function skipSpace(text: string, start: number): number {
  let offset = start;
  for (;;) {
    const code = text.charCodeAt(offset);
    if (code !== 0x20 && code !== 0x09 && code !== 0x0d && code !== 0x0a) return offset;
    offset += 1;
  }
}

/** The position after a number, true, false or null; `start` where there is none, and -1 where the text ends in one. */
function endOfWord(text: string, start: number): number {
  NUMBER.lastIndex = start;
  const number = NUMBER.exec(text);
  if (number !== null) {
    const end = start + number[0].length;
    const next = text[end];
    if (next !== '.' && next !== 'e' && next !== 'E') return end;
    PART_OF_NUMBER.lastIndex = start;
    return PART_OF_NUMBER.test(text) ? -1 : end;
  }
  const word = WORDS.find((candidate) => text.startsWith(candidate, start));
  if (word !== undefined) return start + word.length;
  const rest = text.slice(start, start + 6);
  return rest === '-' || WORDS.some((candidate) => candidate.startsWith(rest)) ? -1 : start;
}

/** The position after the string that begins at `start`, or what is wrong with it. */
function endOfString(text: string, start: number): number | Pick<JsonFault, 'offset' | 'expected' | 'endsEarly'> {
  SPECIAL.lastIndex = start + 1;
  while (SPECIAL.test(text)) {
    const offset = SPECIAL.lastIndex - 1;
    const character = text[offset];
    if (character === '"') return offset + 1;
    if (character !== '\\') return { offset, expected: 'no control character within a string', endsEarly: false };
    ESCAPE.lastIndex = offset;
    if (!ESCAPE.test(text)) {
      PART_OF_ESCAPE.lastIndex = offset;
      const endsEarly = PART_OF_ESCAPE.test(text);
      return { offset, expected: endsEarly ? 'the end of the string' : 'an escape that JSON knows', endsEarly };
    }
    SPECIAL.lastIndex = ESCAPE.lastIndex;
  }
  return { offset: text.length, expected: 'the end of the string', endsEarly: true };
}
