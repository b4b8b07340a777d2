// The pages of docs/ that are made from tables in the code. Pure: tables in, Markdown out.
import { Readable } from 'node:stream';

const HEAD = (source) => `<!-- Generated from ${source} by \`npm run docs\`: change it there. -->`;

/** `docs/configuration.md` from `src/config/variables.ts`. */
export function configurationPage(variables, secrets) {
  return lines(
    HEAD('src/config/variables.ts'),
    '',
    '# Configuration',
    '',
    'Everything is read once, at the start, from environment variables. An empty variable counts as absent. When something is',
    'wrong, the process names every problem at once and exits with 1.',
    '',
    '| variable | default | meaning |',
    '|---|---|---|',
    ...Object.entries(variables).map(([name, { default: value, meaning }]) => row(`\`${name}\``, code(value), meaning)),
    '',
    '`tunesmith emulators` reads none of them; it has options (`--help`).',
    '',
    '## Secrets',
    '',
    'Never shown, logged or handed to a child process.',
    '',
    '| variable | meaning |',
    '|---|---|',
    ...Object.entries(secrets).map(([name, meaning]) => row(`\`${name}\``, meaning)),
    '',
    '`DATABASE_URL` can hold a password; it is shown only without it.',
    '',
    '## Temporal',
    '',
    "Where `TEMPORAL_ADDRESS` is set, the connection is read by Temporal's own library: `TEMPORAL_API_KEY`, `TEMPORAL_TLS`,",
    '`TEMPORAL_TLS_CLIENT_CERT_PATH`, `TEMPORAL_TLS_CLIENT_KEY_PATH`, `TEMPORAL_TLS_SERVER_CA_CERT_PATH`, `TEMPORAL_PROFILE`,',
    '`TEMPORAL_CONFIG_FILE` and the rest of',
    "[Temporal's environment configuration](https://docs.temporal.io/develop/environment-configuration) work as in its other tools.",
    'The embedded server takes none of them.',
  );
}

/** `docs/errors.md` from `src/domain/errors.ts`. */
export function errorsPage(codes) {
  const wire = (name, { wireCode }) => (wireCode === undefined ? name : wireCode === null ? null : wireCode);
  return lines(
    HEAD('src/domain/errors.ts'),
    '',
    '# Errors',
    '',
    "Every error answer has OpenAI's envelope, and `x-request-id` in its headers:",
    '',
    '```json',
    '{ "error": { "message": "…", "type": "invalid_request_error", "param": "training_file", "code": "invalid_training_file" } }',
    '```',
    '',
    "The text of a 500 stays in the gateway's log, under the request id. The same codes are in `error.code` of a failed job, in",
    '`gateway.last_error.code` of a job that goes on, and in the type of the failures that Temporal shows.',
    '',
    'The column `code` is what an answer has there, where that is not the name: OpenAI sends `null`, or a word of its own, for some.',
    'A failed job has the name, or the code of the provider where that gave one. "Retried" says whether a job goes on trying.',
    'Of a provider that refuses a create: 401 and 403 end the job, 429 waits, other refusals (4xx) end it; a page of a',
    'proxy (HTML) and any 5xx prove nothing and are looked into again.',
    '',
    '| name | status | type | `code` | retried | meaning |',
    '|---|---|---|---|---|---|',
    ...Object.entries(codes).map(([name, entry]) =>
      row(
        `\`${name}\``,
        String(entry.status),
        `\`${entry.type}\``,
        wire(name, entry) === name ? '' : `\`${wire(name, entry)}\``,
        entry.retryable ? 'yes' : 'no',
        entry.meaning,
      ),
    ),
  );
}

const TABLE_BEGINS = '<!-- The table is generated from src/datasets by `npm run docs`: change it there. -->';
const TABLE_ENDS = '<!-- End of the table. -->';

/**
 * `docs/datasets.md`: the page as it stands, with the table of checks from `src/datasets/checks.ts` and their examples, and what
 * is said of the file that the page shows.
 */
export function datasetsPage(given, { checks, checkExamples: examples, output }) {
  const page = withBlock(withBlock(given, 'console', output.text), 'json', output.json);
  const begin = page.indexOf(TABLE_BEGINS);
  const end = page.indexOf(TABLE_ENDS);
  if (begin === -1 || end < begin) throw new Error('docs/datasets.md has no place for the table of checks');
  const rows = Object.entries(checks).flatMap(([name, { severity, description }]) => {
    const shown = examples.filter(({ check }) => check === name);
    if (shown.length === 0) throw new Error(`the check ${name} has no example`);
    return shown.map((example, index) =>
      row(
        index === 0 ? `\`${name}\`` : '',
        index === 0 ? severity : '',
        index === 0 ? description : '',
        exampleCell(example),
        placed(example),
      ),
    );
  });
  const table = lines(
    TABLE_BEGINS,
    '',
    '| check | | what is asked | example | message |',
    '|---|---|---|---|---|',
    ...rows,
    '',
  );
  return page.slice(0, begin) + table + page.slice(end);
}

const BLOCK = (language) => new RegExp(`(?<=^\`\`\`${language}\n).*?(?=^\`\`\`$)`, 'ms');

/** The page with another content of its first block of a language. */
function withBlock(page, language, content) {
  if (!BLOCK(language).test(page)) throw new Error(`docs/datasets.md has no block of ${language}`);
  return page.replace(BLOCK(language), () => content);
}

/** What the command and the route say of the rows that `docs/datasets.md` shows. The functions are those of the product. */
export async function datasetsOutput(page, { preflight, preflightReportText, preflightReportObject }) {
  const rows = BLOCK('jsonl').exec(page)?.[0] ?? '';
  const check = (options) =>
    preflight(
      Readable.from([Buffer.from(rows)]),
      { method: 'supervised', role: 'training', excerpts: true, ...options },
      new AbortController().signal,
    );
  const text = preflightReportText(await check({ epochs: 3 }), { name: 'train.jsonl', color: false });
  const answer = preflightReportObject(await check({}));
  const short = { ...answer, errors: answer.errors.filter(({ check }) => check === 'unknown_role'), warnings: [] };
  return {
    text: `$ tunesmith preflight train.jsonl --epochs 3\n${text}`,
    json: `${JSON.stringify({ object: 'file.preflight', file_id: 'file-abc', ...short }, null, 2)}\n`,
  };
}

const MAX_EXAMPLE_CHARACTERS = 160;
const MAX_EXAMPLE_LINES = 3;

/** The line at fault, or the first lines where it is the file; bytes in hexadecimal where it is not text. */
function exampleCell({ content, line }) {
  if ('hex' in content) {
    const hex = content.hex.match(/../g) ?? [];
    return codeSpan(line === null ? hex.join(' ') : hex.map(visibleByte).join(''));
  }
  const all = content.lines;
  if (line !== null) return codeSpan(visible(cut(all[line - 1] ?? '')));
  const shown = all.slice(0, MAX_EXAMPLE_LINES).map((value) => codeSpan(visible(cut(value))));
  return [...shown, ...(all.length > MAX_EXAMPLE_LINES ? ['…'] : [])].join('<br>');
}

const placed = ({ line, message }) => text(line === null ? message : `line ${line}: ${message}`);
const cut = (value) =>
  value.length <= MAX_EXAMPLE_CHARACTERS ? value : `${value.slice(0, MAX_EXAMPLE_CHARACTERS - 1)}…`;
/** What a reader would not see in an example, by its code point. */
const visible = (value) =>
  value.replace(
    /[\p{Control}\p{Format}\p{Surrogate}]/gu,
    (character) => `<U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}>`,
  );
const visibleByte = (hex) =>
  /^[2-7]/.test(hex) && hex !== '7f' ? String.fromCharCode(Number.parseInt(hex, 16)) : `<${hex.toUpperCase()}>`;
const codeSpan = (value) => (value === '' ? '(empty)' : value.includes('`') ? `\`\` ${value} \`\`` : `\`${value}\``);
/** Text of a cell: nothing in it is markup. */
const text = (value) => value.replaceAll('\\', '\\\\').replace(/[<*_`[\]]/g, '\\$&');

/** Every generated page: path in the repository and content. */
export function generatedPages({ variables, secrets, errorCodes, datasets }) {
  return [
    { path: 'docs/configuration.md', content: configurationPage(variables, secrets) },
    { path: 'docs/errors.md', content: errorsPage(errorCodes) },
    { path: 'docs/datasets.md', content: datasetsPage(datasets.page, datasets) },
  ];
}

const code = (value) => (/^[^ ]+$/.test(value) ? `\`${value}\`` : value);
const row = (...cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
const lines = (...all) => `${all.join('\n')}\n`;
