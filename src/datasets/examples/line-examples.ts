import { contentExample, textExample, type CheckExample } from './check-example.js';

const ROW = '{"prompt":"Good morning","completion":"Bonjour"}';
const OTHER = '{"prompt":"Good night","completion":"Bonne nuit"}';
const CHAT = '{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello"}]}';

/** Of checks of one line, and of rows of every format. */
export const LINE_EXAMPLES: readonly CheckExample[] = [
  textExample(
    'byte_order_mark',
    1,
    'the file begins with a byte order mark, which is skipped here; other readers may not skip it',
    [`\uFEFF${ROW}`],
  ),
  textExample(
    'line_too_long',
    2,
    'the line is too long; a row has at most 100 bytes',
    [ROW, `{"prompt":"${'a'.repeat(100)}","completion":"b"}`],
    {
      options: { minimumRows: 1, maxRowBytes: 100 },
    },
  ),
  contentExample('invalid_utf8', 1, 'the line is not valid UTF-8: the byte 0xE9 at byte 15', {
    hex: Buffer.from('{"prompt":"caf\xe9","completion":"coffee"}', 'latin1').toString('hex'),
  }),
  textExample('nul_byte', 1, 'the line has a NUL byte at column 13', ['{"prompt":"a\0","completion":"b"}']),
  textExample('blank_line', 2, 'the line is empty; every line must be a JSON object', [ROW, '', OTHER]),
  textExample(
    'invalid_json',
    1,
    `the line is not valid JSON: column 2 must be a key in double quotes, or } (found "'")`,
    ["{'prompt': 'Good morning', 'completion': 'Bonjour'}"],
  ),
  textExample('invalid_json', 1, 'the line is not valid JSON: column 49 must be a key in double quotes (found "}")', [
    '{"prompt":"Good morning","completion":"Bonjour",}',
    OTHER,
  ]),
  textExample('invalid_json', 1, 'the line is not valid JSON: column 39 must be a value (found "N")', [
    '{"prompt":"Good morning","completion":NaN}',
    OTHER,
  ]),
  textExample(
    'invalid_json',
    1,
    'the line is not valid JSON: column 43 must be the end of the string (found the end of the line)',
    ['{"prompt":"Good morning","completion":"Bon', OTHER],
  ),
  textExample('truncated_line', 2, 'the line ends within its row: the file was cut off', [
    ROW,
    '{"prompt":"Good night","comple',
  ]),
  textExample('not_an_object', 2, 'the row must be a JSON object (found a list of 2)', [
    ROW,
    '["Good night","Bonne nuit"]',
  ]),
  textExample('duplicate_key', 1, 'prompt must stand once in its object (found it again)', [
    '{"prompt":"Good morning","completion":"Bonjour","prompt":"Good night"}',
  ]),
  textExample(
    'number_out_of_range',
    1,
    'answer must be a number that a double can hold (found 1e999)',
    ['{"messages":[{"role":"user","content":"2+2?"}],"answer":1e999}'],
    {
      method: 'reinforcement',
    },
  ),
  textExample(
    'inexact_integer',
    1,
    'id should be an integer that a double holds exactly: 9007199254740993 is read as 9007199254740992',
    ['{"messages":[{"role":"user","content":"Who?"}],"id":9007199254740993}'],
    {
      method: 'reinforcement',
    },
  ),
  textExample('lone_surrogate', 1, 'prompt has half of a surrogate pair, which is no character', [
    '{"prompt":"Good morning \\ud83d","completion":"Bonjour"}',
  ]),
  textExample(
    'mixed_formats',
    2,
    'the row must be a chat row with messages, as the first row is: a file holds one kind (found an object with prompt, completion)',
    [CHAT, ROW],
  ),
  textExample(
    'mixed_formats',
    2,
    'the row must be a row with prompt and completion, as the first row is: a file holds one kind (found an object with messages)',
    [ROW, CHAT],
  ),
  textExample('unknown_key', 1, 'id must be absent; known keys here are prompt, completion (found 7)', [
    '{"prompt":"Good morning","completion":"Bonjour","id":7}',
  ]),
];
