import { builtinModules } from 'node:module';
import ts from 'typescript';
import { importsOf, isTestCode, parse, type ImportEdge, type SourceText } from './imports.js';

/** A rule returns its violations, one line each. */
export type Rule = (sources: readonly SourceText[]) => readonly string[];

/**
 * Folder or file -> the only places its code may import from. The longest entry that fits a path is the one that
 * counts. An entry is a folder or file of ours (without `.ts`), a package (`@scope/*` for a whole scope), or `node:` for
 * what Node has built in; `type ` before it allows types alone. `any package but` turns the packages round.
 */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  'src/domain': ['src/domain', 'zod'],
  workflows: ['workflows', 'src/domain', '@temporalio/workflow', '@temporalio/common'],
  activities: [
    ...['activities', 'src/domain', 'src/datasets', 'src/store', 'src/vault', 'src/observability', 'type src/files'],
    ...['@temporalio/activity', '@temporalio/common', 'zod', 'node:'],
  ],
  'src/providers': ['src/providers', 'src/domain'],
  'src/providers/shared': ['src/providers/shared', 'src/domain', ...vendorPackages()],
  // Each provider's own folder is added by `zoneOf`.
  'src/providers/*': ['src/providers/shared', 'src/domain', ...vendorPackages()],
  'src/datasets': ['src/datasets', 'src/domain', 'gpt-tokenizer', 'jsonc-parser', 'xxhash-wasm', 'node:'],
  'src/files': [
    ...['src/files', 'src/domain', 'src/store', 'type src/observability'],
    ...['@aws-sdk/client-s3', '@aws-sdk/lib-storage', 'node:'],
  ],
  'src/jobs': [
    ...['src/jobs', 'src/domain', 'src/store', 'type src/vault', 'type src/observability', 'workflows/messages'],
    ...['@temporalio/client', '@temporalio/common', 'type zod', 'node:crypto'],
  ],
  'src/http': [
    ...['src/http', 'src/domain', 'src/files'],
    ...['type src/datasets', 'type src/jobs', 'type src/store', 'type src/vault', 'type src/observability'],
    ...['express', 'busboy', 'helmet', 'range-parser', 'undici', 'zod', 'node:'],
  ],
  'src/store': ['src/store', 'src/domain', 'src/processes', 'kysely', 'pg', 'nanoid', 'zod', 'node:'],
  'src/vault': ['src/vault', 'src/domain', 'src/store', 'zod', 'node:crypto', 'node:util'],
  'src/temporal': [
    ...['src/temporal', 'src/domain', 'src/processes', 'type src/config', 'type src/observability'],
    ...['@temporalio/*', 'node:'],
  ],
  'src/processes': ['src/processes', 'zod', 'node:'],
  'src/config': [
    'src/config',
    'type src/domain',
    'type src/files',
    'src/observability',
    'src/vault/vault',
    'zod',
    'node:path',
  ],
  'src/observability': ['src/observability', 'type src/domain', 'pino'],
  'src/commands': [
    ...['src/commands', 'src/context', 'src/config', 'src/datasets', 'src/domain', 'type src/files', 'src/http'],
    ...[
      'src/observability',
      'src/processes',
      'src/store',
      'src/temporal',
      'src/vault',
      'emulators/main',
      'ora',
      'pino',
      'zod',
      'node:',
    ],
  ],
  'src/main': ['src/commands', 'src/config', 'commander'],
  'src/context': [
    ...['src/config', 'src/datasets', 'src/domain', 'src/files', 'src/http', 'src/jobs', 'src/observability'],
    ...['src/providers', 'src/store', 'src/temporal', 'src/vault', 'activities', 'type express', 'node:'],
  ],
  emulators: ['emulators', 'express', 'busboy', 'zod', 'node:'],
};

/** A provider brings its vendor's library; these are never one. */
function vendorPackages(): readonly string[] {
  return ['any package but @temporalio/* express pg kysely pino commander', 'node:'];
}

const zoneNames = Object.keys(MAY_IMPORT).sort((left, right) => right.length - left.length);

/** The entry of the table for a path, and what it allows; undefined where the table has none. */
function zoneOf(path: string): { readonly name: string; readonly allowed: readonly string[] } | undefined {
  const provider = /^src\/providers\/(?!shared\/)([^/]+)\//.exec(path)?.[1];
  if (provider !== undefined) {
    const name = `src/providers/${provider}`;
    return { name, allowed: [name, ...(MAY_IMPORT['src/providers/*'] ?? [])] };
  }
  const name = zoneNames.find((zone) => isWithin(path, zone));
  return name === undefined ? undefined : { name, allowed: MAY_IMPORT[name] ?? [] };
}

const isWithin = (path: string, place: string): boolean => {
  const bare = path.replace(/(\.d)?\.[jt]s$/, '');
  return bare === place || bare.startsWith(`${place}/`);
};

const builtins = new Set(builtinModules);
const isBuiltin = (name: string): boolean => name.startsWith('node:') || builtins.has(name);
const isOurs = (name: string): boolean =>
  /^(src|workflows|activities|emulators|test|dashboard|benchmarks)\//.test(name);

const matchesPackage = (name: string, pattern: string): boolean =>
  pattern.endsWith('/*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern || name.startsWith(`${pattern}/`);

function allows(entry: string, { to, typeOnly }: ImportEdge): boolean {
  if (entry.startsWith('type ')) return typeOnly && allows(entry.slice('type '.length), { from: '', to, typeOnly });
  if (to === '<computed>') return false;
  if (isBuiltin(to)) return entry === 'node:' || entry === to;
  if (isOurs(to)) return isWithin(to, entry);
  const others = /^any package but (.+)$/.exec(entry)?.[1];
  if (others !== undefined) return !others.split(' ').some((pattern) => matchesPackage(to, pattern));
  return matchesPackage(to, entry);
}

/** Every import of product code is one that the table allows, and no product code lies outside the table. */
export const importsFollowTheTable: Rule = (sources) =>
  productCode(sources).flatMap((source) => {
    const zone = zoneOf(source.path);
    if (zone === undefined) return [`${source.path} is in a folder that MAY_IMPORT does not name`];
    return importsOf(source)
      .filter((edge) => !zone.allowed.some((entry) => allows(entry, edge)))
      .map((edge) => describe(edge));
  });

/** Product code does not import what only tests use. */
export const productCodeImportsNoTests: Rule = (sources) =>
  productCode(sources).flatMap((source) =>
    importsOf(source)
      .filter(({ to }) => isOurs(to) && isTestCode(to))
      .map(describe),
  );

/** Workflows take values only from domain files that import no values, so that nothing else enters their bundle. */
export const workflowValuesArePure: Rule = (sources) => {
  const impure = new Set(
    productCode(sources)
      .filter(({ path }) => isWithin(path, 'src/domain'))
      .filter((source) => importsOf(source).some((edge) => !edge.typeOnly))
      .map(({ path }) => path.replace(/\.ts$/, '.js')),
  );
  return productCode(sources)
    .filter(({ path }) => isWithin(path, 'workflows'))
    .flatMap((source) => importsOf(source).filter((edge) => !edge.typeOnly && impure.has(edge.to)))
    .map((edge) => `${describe(edge)}, which imports values itself`);
};

/** The emulators are an independent reading of the vendors' documents: their tests share nothing with ours either. */
export const emulatorsStandAlone: Rule = (sources) =>
  sources
    .filter(({ path }) => isWithin(path, 'emulators'))
    .flatMap((source) => importsOf(source).filter(({ to }) => isOurs(to) && !isWithin(to, 'emulators')))
    .map(describe);

const STANDARD_FILES = ['dataset', 'index', 'map', 'provider', 'settings', 'wire'] as const;
/** Beyond the six; `map/` and `dataset/` are folders for what one file would not hold. */
const FURTHER_FILES = /^(chat|deployment)\.ts$|^(map|dataset)\/[a-z0-9-]+\.ts$/;
const IO_FILES = /^(provider|chat|deployment|index)\.ts$/;

/** One provider is one folder with the same six files and nothing beyond the closed list. */
export const providersHaveTheSameFiles: Rule = (sources) =>
  [...providerFiles(sources)].flatMap(([name, files]) => [
    ...STANDARD_FILES.filter((file) => !files.includes(`${file}.ts`)).map((file) => `${name} has no ${file}.ts`),
    ...files
      .filter((file) => !STANDARD_FILES.some((standard) => file === `${standard}.ts`) && !FURTHER_FILES.test(file))
      .map((file) => `${name} has ${file}, which is not in the closed list`),
  ]);

/** The I/O of a provider is in `provider.ts` (`chat.ts`, `deployment.ts`): the rest is pure. */
export const providersKeepTheirInputAndOutputApart: Rule = (sources) =>
  productCode(sources)
    .filter(({ path }) => {
      const [, file] = splitProviderPath(path);
      return file !== undefined && !IO_FILES.test(file);
    })
    .flatMap((source) =>
      importsOf(source)
        .filter(({ to, typeOnly }) => !typeOnly && !isOurs(to) && to !== 'zod')
        .map(describe),
    );

/** `process.env` is read by `src/config/env.ts` alone. */
export const environmentIsReadInOnePlace: Rule = (sources) =>
  productCode(sources)
    .filter(({ path }) => path !== 'src/config/env.ts' && readsEnvironment(path, sources))
    .map(({ path }) => `${path} reads process.env`);

function readsEnvironment(path: string, sources: readonly SourceText[]): boolean {
  const source = sources.find((candidate) => candidate.path === path);
  if (source === undefined) return false;
  // `process` under another name would hide it.
  if (importsOf(source).some(({ to, typeOnly }) => !typeOnly && /^(node:)?process$/.test(to))) return true;
  const visit = (node: ts.Node): boolean => {
    if (ts.isPropertyAccessExpression(node) && node.name.text === 'env' && isProcess(node.expression)) return true;
    if (ts.isElementAccessExpression(node) && isProcess(node.expression)) {
      return ts.isStringLiteralLike(node.argumentExpression) ? node.argumentExpression.text === 'env' : true;
    }
    // `const { env } = process`, and `process` handed on as it is.
    if (ts.isVariableDeclaration(node) && node.initializer !== undefined && isProcess(node.initializer)) return true;
    return ts.forEachChild(node, (child) => visit(child) || undefined) ?? false;
  };
  return visit(parse(source));
}

const isProcess = (node: ts.Node): boolean =>
  (ts.isIdentifier(node) && node.text === 'process') ||
  (ts.isPropertyAccessExpression(node) && node.getText() === 'globalThis.process');

const MAX_LINES = 400;

/** One idea per file. */
export const filesAreShort: Rule = (sources) =>
  sources
    .map(({ path, text }) => ({ path, lines: text.replace(/\n$/, '').split('\n').length }))
    .filter(({ lines }) => lines > MAX_LINES)
    .map(({ path, lines }) => `${path} has ${lines} lines`);

/** A file is named after what it holds, in kebab case. */
export const filesAreNamedAfterWhatTheyHold: Rule = (sources) =>
  sources
    .filter(
      ({ path }) => path.split('/').some((part) => /(^|-)(utils?|helpers?|misc)([.-]|$)/.test(part)) || !isKebab(path),
    )
    .map(({ path }) => `${path} is not a kebab-case name of what it holds`);

const isKebab = (path: string): boolean =>
  /^[a-z0-9]+(-[a-z0-9]+)*(\.d|\.test)?\.ts$/.test(path.slice(path.lastIndexOf('/') + 1));

/** No state at module level: two contexts in one process share nothing. */
export const modulesHaveNoMutableState: Rule = (sources) =>
  productCode(sources).flatMap((source) =>
    parse(source)
      .statements.filter(ts.isVariableStatement)
      .filter(({ declarationList }) => (declarationList.flags & ts.NodeFlags.Const) === 0)
      .map((statement) => `${source.path}: ${statement.getText().split('\n')[0] ?? ''}`),
  );

const productCode = (sources: readonly SourceText[]): readonly SourceText[] =>
  sources.filter(({ path }) => !isTestCode(path));

function providerFiles(sources: readonly SourceText[]): ReadonlyMap<string, readonly string[]> {
  const files = new Map<string, string[]>();
  for (const { path } of productCode(sources)) {
    const [name, file] = splitProviderPath(path);
    if (name === undefined || file === undefined) continue;
    files.set(name, [...(files.get(name) ?? []), file]);
  }
  return files;
}

function splitProviderPath(path: string): [name: string | undefined, file: string | undefined] {
  const [, name, file] = /^src\/providers\/(?!shared\/)([^/]+)\/(.+)$/.exec(path) ?? [];
  return [name, file];
}

const describe = ({ from, to, typeOnly }: ImportEdge): string => `${from} imports ${typeOnly ? 'types of ' : ''}${to}`;
