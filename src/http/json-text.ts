/** Where a JSON text goes wrong: offset from 0, line and column from 1 (columns in UTF-16 units). */
export interface JsonErrorPosition {
  readonly offset: number;
  readonly line: number;
  readonly column: number;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERAL = /true|false|null/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;

/**
 * Finds the first character that no JSON text could have there; the end of the text where it is cut off. Our own because V8
 * gives the position for some mistakes only, and for the others repeats a piece of the body, which may hold a secret.
 */
export function findJsonError(text: string): JsonErrorPosition | null {
  const offset = scan(text);
  if (offset === null) return null;
  const before = text.slice(0, offset);
  const lineStart = before.lastIndexOf('\n') + 1;
  return { offset, line: before.split('\n').length, column: offset - lineStart + 1 };
}

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | 'colon' | 'comma or end';

function scan(text: string): number | null {
  const closers: string[] = [];
  let expected: Expected = 'value';
  let index = 0;
  for (;;) {
    while (' \t\n\r'.includes(text[index] ?? 'x')) index += 1;
    const character = text[index];
    if (expected === 'comma or end') {
      const closer = closers.at(-1);
      if (closer === undefined) return character === undefined ? null : index;
      if (character === closer) closers.pop();
      else if (character === ',') expected = closer === '}' ? 'key' : 'value';
      else return index;
      index += 1;
    } else if (expected === 'colon') {
      if (character !== ':') return index;
      expected = 'value';
      index += 1;
    } else if ((expected === 'key or }' && character === '}') || (expected === 'value or ]' && character === ']')) {
      closers.pop();
      expected = 'comma or end';
      index += 1;
    } else if (expected === 'key' || expected === 'key or }') {
      const end = endOfString(text, index);
      if (typeof end !== 'number') return end.wrongAt;
      expected = 'colon';
      index = end;
    } else if (character === '{' || character === '[') {
      closers.push(character === '{' ? '}' : ']');
      expected = character === '{' ? 'key or }' : 'value or ]';
      index += 1;
    } else {
      const end: number | { wrongAt: number } =
        character === '"'
          ? endOfString(text, index)
          : (endOf(NUMBER, text, index) ?? endOf(LITERAL, text, index) ?? { wrongAt: index });
      if (typeof end !== 'number') return end.wrongAt;
      expected = 'comma or end';
      index = end;
    }
  }
}

function endOfString(text: string, start: number): number | { wrongAt: number } {
  if (text[start] !== '"') return { wrongAt: start };
  let index = start + 1;
  while (index < text.length) {
    const character = text[index];
    if (character === '"') return index + 1;
    if (text.charCodeAt(index) < 0x20) return { wrongAt: index };
    if (character === '\\') {
      const end = endOf(ESCAPE, text, index);
      if (end === null) return { wrongAt: index };
      index = end;
    } else {
      index += 1;
    }
  }
  return { wrongAt: index };
}

function endOf(pattern: RegExp, text: string, start: number): number | null {
  pattern.lastIndex = start;
  return pattern.test(text) ? pattern.lastIndex : null;
}
