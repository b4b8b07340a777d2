import { contentExample, textExample, type CheckExample } from './check-example.js';

const ROW = '{"prompt":"Good morning","completion":"Bonjour"}';
const OTHER = '{"prompt":"Good night","completion":"Bonne nuit"}';
const LEGAL_IMAGE_ROWS = 50_000;

/** Of checks of the file as a whole. */
export const FILE_EXAMPLES: readonly CheckExample[] = [
  textExample('empty_file', null, 'the file is empty, and needs at least 1 row', ['']),
  contentExample('gzip_archive', null, 'the file is compressed with gzip; unpack it first', {
    hex: '1f8b0800000000000003ab562a28ca',
  }),
  contentExample('zip_archive', null, 'the file is a zip archive; unpack it first', { hex: '504b0304140000000800' }),
  contentExample('zip_archive', null, 'the file is an empty zip archive; unpack it first', {
    hex: '504b0506000000000000',
  }),
  contentExample('other_archive', null, 'the file is compressed with bzip2; unpack it first', {
    hex: '425a683931415926',
  }),
  contentExample('other_archive', null, 'the file is compressed with xz; unpack it first', { hex: 'fd377a585a000004' }),
  contentExample('other_archive', null, 'the file is compressed with Zstandard; unpack it first', {
    hex: '28b52ffd2430',
  }),
  contentExample('other_archive', null, 'the file is compressed with LZ4; unpack it first', { hex: '04224d186440' }),
  contentExample('other_archive', null, 'the file is a 7z archive; unpack it first', { hex: '377abcaf271c0004' }),
  contentExample('other_archive', null, 'the file is a rar archive; unpack it first', { hex: '526172211a070100' }),
  contentExample('parquet_file', null, 'the file is a Parquet file; write its rows as JSON, one on each line', {
    hex: '50415231150415',
  }),
  contentExample('arrow_file', null, 'the file is an Arrow file; write its rows as JSON, one on each line', {
    hex: '4152524f57310000',
  }),
  contentExample('arrow_file', null, 'the file is a Feather file; write its rows as JSON, one on each line', {
    hex: '4645413100000000',
  }),
  textExample('pdf_document', null, 'the file is a PDF document; write its rows as JSON, one on each line', [
    '%PDF-1.7',
  ]),
  textExample('markup_document', null, 'the file is HTML or XML; look at it: it may say why a download failed', [
    '<!DOCTYPE html>',
    '<html><body>403 Forbidden</body></html>',
  ]),
  textExample('markup_document', null, 'the file is HTML or XML; look at it: it may say why a download failed', [
    '<?xml version="1.0"?>',
    '<Error><Code>AccessDenied</Code></Error>',
  ]),
  contentExample('wide_encoding', null, 'the file is in UTF-16; save it as UTF-8', { hex: 'fffe7b002200' }),
  contentExample('wide_encoding', null, 'the file is in UTF-16; save it as UTF-8', { hex: 'feff007b0022' }),
  contentExample('wide_encoding', null, 'the file is in UTF-32; save it as UTF-8', { hex: '0000feff0000007b' }),
  contentExample('wide_encoding', null, 'the file is in UTF-16; save it as UTF-8', { hex: '7b00220070007200' }),
  textExample(
    'json_array',
    null,
    'the file is one JSON list; write each of its rows on a line of its own, without commas and brackets',
    [`[${ROW},`, `${OTHER}]`],
  ),
  textExample('pretty_printed_json', null, 'the file is JSON spread over several lines; write each row on one line', [
    '{',
    '  "prompt": "Good morning",',
    '  "completion": "Bonjour"',
    '}',
  ]),
  textExample('delimited_table', null, 'the file is a table with columns; write its rows as JSON, one on each line', [
    'prompt,completion',
    'Good morning,Bonjour',
  ]),
  textExample('delimited_table', null, 'the file is a table with columns; write its rows as JSON, one on each line', [
    'prompt\tcompletion',
    'Good morning\tBonjour',
  ]),
  textExample('too_few_rows', null, 'the file has 2 rows, and needs at least 10 rows', [ROW, OTHER], { options: {} }),
  textExample('too_many_rows', null, 'the file has more rows than are allowed: at most 1 row', [ROW, OTHER], {
    options: { minimumRows: 1, maximumRows: 1 },
  }),
  contentExample(
    'too_many_image_rows',
    null,
    'the file has 50001 rows with images, and may have at most 50000 rows with images',
    {
      // Made when it is asked for: it is some megabytes.
      get lines() {
        return Array.from({ length: LEGAL_IMAGE_ROWS + 1 }, (_, index) => imageRow(index));
      },
    },
  ),
  textExample('duplicate_rows', null, 'the file has 1 row that equals an earlier one, first on line 3', [
    ROW,
    OTHER,
    ROW,
  ]),
];

function imageRow(index: number): string {
  const image = `{"type":"image_url","image_url":{"url":"https://example.com/${index}.png"}}`;
  return `{"messages":[{"role":"user","content":[${image}]},{"role":"assistant","content":"A cat"}]}`;
}
