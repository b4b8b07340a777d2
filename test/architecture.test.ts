import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import * as rules from './support/architecture-rules.js';
import { importsOf, readSources, REPOSITORY_ROOT, type SourceText } from './support/imports.js';

const repository = readSources();

/** A source set in memory: path, then text. */
const sources = (files: Readonly<Record<string, string>>): readonly SourceText[] =>
  Object.entries(files).map(([path, text]) => ({ path, text }));

describe('the repository', () => {
  const everyRule: readonly (readonly [string, rules.Rule])[] = [
    ['imports only in the directions of the table', rules.importsFollowTheTable],
    ['keeps tests out of product code', rules.productCodeImportsNoTests],
    ['gives workflows values only from domain files that import none', rules.workflowValuesArePure],
    ['has emulators that share nothing with the product, their tests included', rules.emulatorsStandAlone],
    ['has the same files in every provider', rules.providersHaveTheSameFiles],
    ['has pure provider files beside those for input and output', rules.providersKeepTheirInputAndOutputApart],
    ['reads process.env in one place', rules.environmentIsReadInOnePlace],
    ['has no file over 400 lines', rules.filesAreShort],
    ['names files after what they hold', rules.filesAreNamedAfterWhatTheyHold],
    ['has no mutable state at module level', rules.modulesHaveNoMutableState],
  ];

  test.each(everyRule)('%s', (_name, rule) => {
    expect(rule(repository)).toEqual([]);
  });

  test('has an entry in the table for every folder of src, and a folder for every entry', () => {
    const folders = readdirSync(join(REPOSITORY_ROOT, 'src'), { withFileTypes: true })
      .map(({ name }) => `src/${name.replace(/\.ts$/, '')}`)
      .sort();
    const entries = Object.keys(rules.MAY_IMPORT).filter((name) => /^src\/[^/]+$/.test(name));
    expect(entries.sort()).toEqual(folders);
  });

  test('is read in full: imports of every form are found in it', () => {
    const edges = repository.flatMap(importsOf);
    expect(repository.length).toBeGreaterThan(100);
    expect(edges).toContainEqual({ from: 'src/main.ts', to: 'src/commands/up.js', typeOnly: false });
    expect(edges).toContainEqual({ from: 'workflows/index.ts', to: 'workflows/reconcile.js', typeOnly: false });
  });
});

describe('an import of any form', () => {
  test.each([
    ["import { a } from './b.js';", false],
    ["import type { a } from './b.js';", true],
    ["import { type a } from './b.js';", true],
    ["import { type a, c } from './b.js';", false],
    ["import './b.js';", false],
    ["import * as b from './b.js';", false],
    ["export { a } from './b.js';", false],
    ["export * from './b.js';", false],
    ["export type { a } from './b.js';", true],
    ["export { type a } from './b.js';", true],
    ["const b = await import('./b.js');", false],
    ["let b: import('./b.js').B;", true],
    ["let b: typeof import('./b.js');", true],
    ["import b = require('./b.js');", false],
    ["const b = require('./b.js');", false],
  ])('is seen: %s', (text, typeOnly) => {
    expect(importsOf({ path: 'src/x/a.ts', text })).toEqual([{ from: 'src/x/a.ts', to: 'src/x/b.js', typeOnly }]);
  });

  test('whose name is computed is allowed nowhere', () => {
    const found = rules.importsFollowTheTable(sources({ 'src/context.ts': 'await import(`./${name}.js`);' }));
    expect(found).toEqual(['src/context.ts imports <computed>']);
  });
});

describe('each direction is held: an injected violation is found', () => {
  test.each([
    ['src/domain/job.ts', '../store/jobs.js'],
    ['src/domain/job.ts', 'node:crypto'],
    ['src/domain/job.ts', 'pg'],
    ['workflows/fine-tuning-job.ts', '../activities/index.js'],
    ['workflows/fine-tuning-job.ts', '../src/store/jobs.js'],
    ['workflows/stages/wait.ts', 'node:crypto'],
    ['workflows/stages/wait.ts', 'crypto'],
    ['workflows/stages/wait.ts', 'zod'],
    ['workflows/stages/wait.ts', '@temporalio/client'],
    ['activities/submit.ts', '../src/http/app.js'],
    ['activities/submit.ts', '../src/jobs/create-job.js'],
    ['activities/submit.ts', '../src/providers/openai/index.js'],
    ['activities/submit.ts', '../workflows/messages.js'],
    ['activities/submit.ts', '../src/context.js'],
    ['src/providers/openai/provider.ts', '../bedrock/map.js'],
    ['src/providers/openai/provider.ts', '../registry.js'],
    ['src/providers/openai/provider.ts', '@temporalio/activity'],
    ['src/providers/openai/provider.ts', 'express'],
    ['src/providers/openai/provider.ts', '../../store/jobs.js'],
    ['src/providers/openai/provider.ts', '../../config/config.js'],
    ['src/providers/openai/map/rows.ts', '../../bedrock/map.js'],
    ['src/providers/shared/openai-call.ts', '../openai/map.js'],
    ['src/providers/shared/openai-call.ts', '@temporalio/common'],
    ['src/providers/registry.ts', '../store/jobs.js'],
    ['src/datasets/preflight.ts', '../providers/openai/index.js'],
    ['src/datasets/preflight.ts', '../store/files.js'],
    ['src/datasets/preflight.ts', '@temporalio/activity'],
    ['src/files/local.ts', '../providers/registry.js'],
    ['src/files/local.ts', 'express'],
    ['src/jobs/create-job.ts', '../providers/registry.js'],
    ['src/jobs/create-job.ts', '../../activities/index.js'],
    ['src/jobs/create-job.ts', '../../workflows/fine-tuning-job.js'],
    ['src/jobs/create-job.ts', '../http/app.js'],
    ['src/jobs/create-job.ts', '../vault/vault.js'],
    ['src/jobs/create-job.ts', 'express'],
    ['src/http/routes/files.ts', '../../providers/registry.js'],
    ['src/http/routes/files.ts', '../../../activities/index.js'],
    ['src/http/routes/files.ts', '@temporalio/client'],
    ['src/http/routes/files.ts', '../../temporal/connection.js'],
    ['src/http/routes/files.ts', '../../store/files.js'],
    ['src/http/routes/files.ts', '../../jobs/job-service.js'],
    ['src/http/routes/files.ts', '../../context.js'],
    ['src/store/jobs.ts', '../http/app.js'],
    ['src/store/jobs.ts', '../vault/vault.js'],
    ['src/store/jobs.ts', '@temporalio/client'],
    ['src/vault/vault.ts', '../providers/registry.js'],
    ['src/temporal/workers.ts', '../../activities/index.js'],
    ['src/temporal/workers.ts', '../../workflows/index.js'],
    ['src/temporal/workers.ts', '../store/jobs.js'],
    ['src/processes/supervisor.ts', '../config/config.js'],
    ['src/processes/supervisor.ts', '../domain/errors.js'],
    ['src/config/config.ts', '../store/database.js'],
    ['src/config/config.ts', '../vault/virtual-keys.js'],
    ['src/observability/logger.ts', '../config/config.js'],
    ['src/commands/up.ts', '../providers/registry.js'],
    ['src/commands/up.ts', '../../activities/index.js'],
    ['src/commands/up.ts', '../main.js'],
    ['src/main.ts', './context.js'],
    ['src/context.ts', './commands/up.js'],
    ['emulators/openai/index.ts', '../../src/domain/job.js'],
    ['emulators/openai/index.ts', '../../workflows/messages.js'],
    ['emulators/openai/index.ts', 'openai'],
    ['src/store/jobs.ts', '../../test/support/database.js'],
  ])('%s must not import %s', (path, target) => {
    expect(rules.importsFollowTheTable(sources({ [path]: `import { thing } from '${target}';` }))).toHaveLength(1);
  });

  test.each([
    ['src/http/routes/files.ts', '../../jobs/job-service.js'],
    ['src/http/routes/files.ts', '../../store/files.js'],
    ['src/config/config.ts', '../domain/activities.js'],
    ['activities/datasets.ts', '../src/files/file-store.js'],
  ])('%s may import types of %s, and no value', (path, target) => {
    expect(rules.importsFollowTheTable(sources({ [path]: `import type { A } from '${target}';` }))).toEqual([]);
    expect(rules.importsFollowTheTable(sources({ [path]: `import { a } from '${target}';` }))).toHaveLength(1);
  });

  test('code in a folder that the table does not name is found', () => {
    expect(rules.importsFollowTheTable(sources({ 'src/queue/worker.ts': '' }))).toHaveLength(1);
  });

  test('a type alone is a violation too where nothing is allowed', () => {
    const found = rules.importsFollowTheTable(
      sources({ 'workflows/a.ts': "type A = import('../activities/index.js').A;" }),
    );
    expect(found).toEqual(['workflows/a.ts imports types of activities/index.js']);
  });

  test('a value for a workflow from a domain file that imports values is found', () => {
    const files = {
      'src/domain/job.ts': "import { z } from 'zod';",
      'src/domain/names.ts': "import type { z } from 'zod';",
      'workflows/a.ts': "import { job } from '../src/domain/job.js';\nimport { names } from '../src/domain/names.js';",
      'workflows/b.ts': "import type { Job } from '../src/domain/job.js';",
    };
    expect(rules.workflowValuesArePure(sources(files))).toEqual([
      'workflows/a.ts imports src/domain/job.js, which imports values itself',
    ]);
  });

  test('product code that imports what only tests use is found', () => {
    const files = { 'src/http/app.ts': "import { a } from './test-support/test-gateway.js';\nimport './app.test.js';" };
    expect(rules.productCodeImportsNoTests(sources(files))).toHaveLength(2);
  });

  test("an emulator's test that imports the product is found", () => {
    const files = { 'emulators/openai/lists.test.ts': "import type { Job } from '../../src/domain/job.js';" };
    expect(rules.emulatorsStandAlone(sources(files))).toHaveLength(1);
  });
});

describe('each habit is held: an injected violation is found', () => {
  const provider = Object.fromEntries(
    ['dataset', 'index', 'map', 'provider', 'settings', 'wire'].map((name) => [`src/providers/acme/${name}.ts`, '']),
  );

  test('a provider without one of the six files, or with another one', () => {
    expect(rules.providersHaveTheSameFiles(sources(provider))).toEqual([]);
    const withoutWire = sources(provider).filter(({ path }) => !path.endsWith('/wire.ts'));
    expect(rules.providersHaveTheSameFiles(withoutWire)).toEqual(['acme has no wire.ts']);
    const more = { ...provider, 'src/providers/acme/client.ts': '', 'src/providers/acme/map/status.ts': '' };
    expect(rules.providersHaveTheSameFiles(sources(more))).toEqual([
      'acme has client.ts, which is not in the closed list',
    ]);
  });

  test('input or output in a pure file of a provider', () => {
    const files = {
      'src/providers/acme/provider.ts': "import OpenAI from 'openai';",
      'src/providers/acme/map.ts': "import OpenAI from 'openai';\nimport type { Job } from 'openai/resources';",
      'src/providers/acme/dataset.ts': "import { readFile } from 'node:fs/promises';",
    };
    expect(rules.providersKeepTheirInputAndOutputApart(sources(files))).toEqual([
      'src/providers/acme/map.ts imports openai',
      'src/providers/acme/dataset.ts imports node:fs/promises',
    ]);
  });

  test.each([
    'const home = process.env.HOME;',
    "const home = process['env'];",
    'const { env } = process;',
    'const home = globalThis.process.env;',
    "import { env } from 'node:process';",
    "import process from 'process';",
  ])('a second reader of the environment: %s', (text) => {
    expect(rules.environmentIsReadInOnePlace(sources({ 'src/store/database.ts': text }))).toHaveLength(1);
    expect(rules.environmentIsReadInOnePlace(sources({ 'src/config/env.ts': text }))).toEqual([]);
  });

  test('another use of process is none', () => {
    expect(rules.environmentIsReadInOnePlace(sources({ 'src/main.ts': '// process.env\nprocess.exit(0);' }))).toEqual(
      [],
    );
  });

  test('a file of 401 lines', () => {
    const lines = (count: number): string => 'x;\n'.repeat(count);
    expect(rules.filesAreShort(sources({ 'src/a.ts': lines(400), 'src/b.ts': lines(401) }))).toEqual([
      'src/b.ts has 401 lines',
    ]);
  });

  test.each([
    'src/http/utils.ts',
    'src/helpers/a.ts',
    'src/http/file-helpers.ts',
    'src/http/util.test.ts',
    'src/jobs/createJob.ts',
  ])('a name that does not say what is in it: %s', (path) => {
    expect(rules.filesAreNamedAfterWhatTheyHold(sources({ [path]: '', 'src/http/app.ts': '' }))).toHaveLength(1);
  });

  test('mutable state at module level', () => {
    const text = 'let count = 0;\nexport var other = 1;\nexport const fine = () => { let local = 0; return local; };';
    expect(rules.modulesHaveNoMutableState(sources({ 'src/jobs/a.ts': text }))).toEqual([
      'src/jobs/a.ts: let count = 0;',
      'src/jobs/a.ts: export var other = 1;',
    ]);
  });
});
