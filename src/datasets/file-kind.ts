import type { CheckName } from './checks.js';
import { walkJson } from './json-walk.js';

/** A file that is no JSON Lines at all, said by name. */
export interface ForeignFile {
  readonly check: CheckName;
  readonly found: string;
  readonly expected: string;
  readonly message: string;
}

/** How much of a file is looked at. */
export const HEAD_BYTES = 64 * 1024;

interface Signature {
  readonly check: CheckName;
  readonly found: string;
  readonly bytes: readonly number[];
  readonly advice: string;
}

const EXPECTED = 'rows of JSON, one on each line';
const UNPACK = 'unpack it first';
const CONVERT = 'write its rows as JSON, one on each line';
const ascii = (text: string): readonly number[] => [...Buffer.from(text, 'latin1')];

const SIGNATURES: readonly Signature[] = [
  { check: 'gzip_archive', found: 'compressed with gzip', bytes: [0x1f, 0x8b], advice: UNPACK },
  { check: 'zip_archive', found: 'a zip archive', bytes: ascii('PK\x03\x04'), advice: UNPACK },
  { check: 'zip_archive', found: 'an empty zip archive', bytes: ascii('PK\x05\x06'), advice: UNPACK },
  { check: 'other_archive', found: 'compressed with bzip2', bytes: ascii('BZh'), advice: UNPACK },
  { check: 'other_archive', found: 'compressed with xz', bytes: [0xfd, ...ascii('7zXZ'), 0], advice: UNPACK },
  { check: 'other_archive', found: 'compressed with Zstandard', bytes: [0x28, 0xb5, 0x2f, 0xfd], advice: UNPACK },
  { check: 'other_archive', found: 'compressed with LZ4', bytes: [0x04, 0x22, 0x4d, 0x18], advice: UNPACK },
  { check: 'other_archive', found: 'a 7z archive', bytes: [...ascii('7z'), 0xbc, 0xaf, 0x27, 0x1c], advice: UNPACK },
  { check: 'other_archive', found: 'a rar archive', bytes: ascii('Rar!\x1a\x07'), advice: UNPACK },
  { check: 'parquet_file', found: 'a Parquet file', bytes: ascii('PAR1'), advice: CONVERT },
  { check: 'arrow_file', found: 'an Arrow file', bytes: ascii('ARROW1'), advice: CONVERT },
  { check: 'arrow_file', found: 'a Feather file', bytes: ascii('FEA1'), advice: CONVERT },
  { check: 'pdf_document', found: 'a PDF document', bytes: ascii('%PDF-'), advice: CONVERT },
];

/** Recognises a file that is something else by its head. Null for what may be JSON Lines, right or wrong. */
export function recogniseForeignFile(head: Buffer, isWhole: boolean): ForeignFile | null {
  const signature = SIGNATURES.find(({ bytes }) => bytes.every((byte, index) => head[index] === byte));
  if (signature !== undefined) return foreign(signature.check, signature.found, signature.advice);
  const encoding = wideEncoding(head);
  if (encoding !== null) return foreign('wide_encoding', `in ${encoding}`, 'save it as UTF-8');
  const text = head.toString('utf8').replace(/^\uFEFF?[ \t\r\n]*/, '');
  if (/^<[a-z!?]/i.test(text))
    return foreign('markup_document', 'HTML or XML', 'look at it: it may say why a download failed');
  if (isJsonArray(text, isWhole)) {
    return foreign(
      'json_array',
      'one JSON list',
      'write each of its rows on a line of its own, without commas and brackets',
    );
  }
  if (isPrettyPrinted(text, isWhole)) {
    return foreign('pretty_printed_json', 'JSON spread over several lines', 'write each row on one line');
  }
  if (isTable(text)) return foreign('delimited_table', 'a table with columns', CONVERT);
  return null;
}

function foreign(check: CheckName, found: string, advice: string): ForeignFile {
  return { check, found, expected: EXPECTED, message: `the file is ${found}; ${advice}` };
}

/** By the byte order mark, or by the zeros around the first brace. */
function wideEncoding(head: Buffer): string | null {
  const [first, second, third, fourth] = head;
  if (first === 0xff && second === 0xfe) return third === 0 && fourth === 0 ? 'UTF-32' : 'UTF-16';
  if (first === 0xfe && second === 0xff) return 'UTF-16';
  if (first === 0 && second === 0 && third === 0xfe && fourth === 0xff) return 'UTF-32';
  if (first === 0 && second === 0x7b && third === 0 && fourth !== 0) return 'UTF-16';
  if (first === 0x7b && second === 0 && third !== 0 && fourth === 0) return 'UTF-16';
  return null;
}

/** One list with all rows: over several lines, or alone on the only one. A file whose lines each have a list is not. */
function isJsonArray(text: string, isWhole: boolean): boolean {
  if (!/^\[[ \t\r\n]*[[{\]]/.test(text)) return false;
  const [first, others] = splitFirstLine(text);
  const fault = walkJson(first);
  if (fault === null) return isWhole && others === '';
  return fault.endsEarly && (others !== '' || !isWhole);
}

/** An object that is not complete on the first line, and goes on well on the next ones. */
function isPrettyPrinted(text: string, isWhole: boolean): boolean {
  if (!text.startsWith('{')) return false;
  const [first, others] = splitFirstLine(text);
  const firstFault = walkJson(first);
  if (/^\{[ \t\r]*$/.test(first) && others !== '') return true;
  if (firstFault === null || !firstFault.endsEarly || firstFault.inString || others === '') return false;
  const fault = walkJson(text);
  if (fault === null) return true;
  // The head may end anywhere. A second object after the first is what comes next in such a file.
  return fault.depth === 0 || (fault.endsEarly && !isWhole);
}

/** A first line of names of columns, and a second one with as many places at least. */
function isTable(text: string): boolean {
  const [first, others] = splitFirstLine(text);
  if (first.length > 1_000) return false;
  const delimiter = [',', '\t', ';', '|'].find((candidate) => first.includes(candidate));
  if (delimiter === undefined) return false;
  const names = first.trimEnd().split(delimiter);
  const areNames = names.every((name) =>
    /^(?:[\p{L}_][\p{L}\p{N}_. -]{0,60}|"[\p{L}_][\p{L}\p{N}_. -]{0,60}")$/u.test(name),
  );
  return areNames && (others === '' || others.includes(delimiter));
}

/** The first line, and the rest from the first character that is no white space. */
function splitFirstLine(text: string): readonly [string, string] {
  const end = text.indexOf('\n');
  return end === -1 ? [text, ''] : [text.slice(0, end), text.slice(end).trimStart()];
}
