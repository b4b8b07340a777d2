// The pages of docs/ that are made from tables in the code. Pure: tables in, Markdown out.

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

/** Every generated page: path in the repository and content. */
export function generatedPages({ variables, secrets, errorCodes }) {
  return [
    { path: 'docs/configuration.md', content: configurationPage(variables, secrets) },
    { path: 'docs/errors.md', content: errorsPage(errorCodes) },
  ];
}

const code = (value) => (/^[^ ]+$/.test(value) ? `\`${value}\`` : value);
const row = (...cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
const lines = (...all) => `${all.join('\n')}\n`;
