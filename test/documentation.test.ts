import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { datasetsOutput, generatedPages } from '../scripts/generated-docs.mjs';
import { preflightReportText } from '../src/commands/preflight-report-text.js';
import { SECRET_VARIABLES, VARIABLES } from '../src/config/variables.js';
import { CHECK_EXAMPLES } from '../src/datasets/check-examples.js';
import { CHECKS } from '../src/datasets/checks.js';
import { preflight } from '../src/datasets/preflight.js';
import { ERROR_CODES } from '../src/domain/errors.js';
import { preflightReportObject } from '../src/http/schemas/preflight-report.js';
import { createProviders } from '../src/providers/registry.js';
import { REPOSITORY_ROOT } from './support/imports.js';

const read = (path: string): string => readFileSync(join(REPOSITORY_ROOT, path), 'utf8');
const markdownIn = (folder: string): readonly string[] =>
  readdirSync(join(REPOSITORY_ROOT, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.md'))
    .map((name) => `${folder}/${name}`)
    .sort();
const docs = markdownIn('docs');
const pages = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...docs, ...markdownIn('emulators')];

const datasetsText = read('docs/datasets.md');
const output = await datasetsOutput(datasetsText, { preflight, preflightReportText, preflightReportObject });

describe('generated pages', () => {
  const tables = {
    variables: VARIABLES,
    secrets: SECRET_VARIABLES,
    errorCodes: ERROR_CODES,
    datasets: { page: datasetsText, checks: CHECKS, checkExamples: CHECK_EXAMPLES, output },
  };

  test.each(generatedPages(tables))('$path is what `npm run docs` makes of the code', ({ path, content }) => {
    expect(read(path)).toBe(content);
  });

  test('have every variable, every error code and every check', () => {
    const configuration = read('docs/configuration.md');
    for (const name of Object.keys({ ...VARIABLES, ...SECRET_VARIABLES }))
      expect(configuration).toContain(`| \`${name}\` |`);
    const errors = read('docs/errors.md');
    for (const [name, { status }] of Object.entries(ERROR_CODES))
      expect(errors).toContain(`| \`${name}\` | ${status} |`);
    for (const [name, { severity }] of Object.entries(CHECKS))
      expect(datasetsText).toContain(`| \`${name}\` | ${severity} |`);
  });
});

describe('every page', () => {
  test.each(pages)('%s links to files that exist', (page) => {
    const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target ?? '');
    const missing = links
      .filter((target) => !/^(https?:|#)/.test(target))
      .filter((target) => !existsSync(join(REPOSITORY_ROOT, dirname(page), target.split('#')[0] ?? '')));
    expect(missing).toEqual([]);
  });

  test.each(pages)('%s names no variable that the configuration does not know', (page) => {
    const known = (name: string): boolean =>
      name in VARIABLES ||
      name in SECRET_VARIABLES ||
      name.startsWith('TEMPORAL_') ||
      ['NODE_ENV', 'POSTGRES_PASSWORD'].includes(name);
    const named = [...read(page).matchAll(/`\$?([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])`/g)].map(([, name]) => name ?? '');
    expect(named.filter((name) => !known(name))).toEqual([]);
  });

  test.each(pages)('%s names commands that there are', (page) => {
    const commands = [...read('src/main.ts').matchAll(/\.command\('([a-z-]+)'\)/g)].map(([, name]) => name ?? '');
    expect(commands).toContain('up');
    const named = [...read(page).matchAll(/`tunesmith ([a-z-]+)/g)].map(([, name]) => name ?? '');
    expect(named.filter((name) => !commands.includes(name))).toEqual([]);
  });

  test.each(pages)('%s names npm scripts that there are', (page) => {
    const manifest: unknown = JSON.parse(read('package.json'));
    const named = [...read(page).matchAll(/`npm run ([a-z:-]+)/g)].map(([, name]) => name ?? '');
    for (const name of named) expect(manifest).toHaveProperty(['scripts', name]);
  });
});

describe('the README', () => {
  test('has fewer than 150 lines', () => {
    expect(read('README.md').trimEnd().split('\n').length).toBeLessThan(150);
  });

  test('says which providers there are, and each has its page', () => {
    for (const name of createProviders().names) {
      expect(read('README.md')).toContain(`docs/providers/${name}.md`);
      expect(docs).toContain(`docs/providers/${name}.md`);
    }
    const described = docs.filter((page) => page.startsWith('docs/providers/'));
    expect(described).toHaveLength(createProviders().names.length);
  });

  test('names every top-level folder of code', () => {
    for (const folder of ['workflows', 'activities', 'emulators', 'test', 'docs']) {
      expect(read('README.md')).toContain(`\`${folder}/\``);
    }
  });
});

describe('docs', () => {
  test('has every page in its index', () => {
    const index = read('docs/README.md');
    const missing = docs
      .map((page) => page.slice('docs/'.length))
      .filter((page) => page !== 'README.md' && !page.startsWith('decisions/'))
      .filter((page) => !index.includes(`](${page})`));
    expect(missing).toEqual([]);
  });

  const decisions = docs.filter((page) => page.startsWith('docs/decisions/'));

  test('has decisions numbered without a gap', () => {
    const numbers = decisions.map((page) => Number(/\/(\d{4})-[a-z0-9-]+\.md$/.exec(page)?.[1]));
    expect(numbers).toEqual(numbers.map((_number, index) => index + 1));
    expect(numbers.length).toBeGreaterThan(0);
  });

  test.each(decisions)('%s is one page: context, decision, consequences, alternatives', (page) => {
    const text = read(page);
    expect(text).toMatch(new RegExp(`^# ${Number(/\d{4}/.exec(page)?.[0])}\\. `));
    expect([...text.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual([
      'Context',
      'Decision',
      'Consequences',
      'Alternatives',
    ]);
    expect(text.split('\n').length).toBeLessThan(60);
  });
});

describe('the changelog', () => {
  test('follows Keep a Changelog and has a place for what is not released', () => {
    const text = read('CHANGELOG.md');
    expect(text).toContain('https://keepachangelog.com/');
    expect(text).toMatch(/^## \[Unreleased\]$/m);
    const kinds = [...text.matchAll(/^### (.+)$/gm)].map(([, kind]) => kind ?? '');
    expect(
      kinds.filter((kind) => !['Added', 'Changed', 'Deprecated', 'Removed', 'Fixed', 'Security'].includes(kind)),
    ).toEqual([]);
  });
});
