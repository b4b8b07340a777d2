import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import ts from 'typescript';

/** One TypeScript file of the repository; `path` is relative to its root, with forward slashes. */
export interface SourceText {
  readonly path: string;
  readonly text: string;
}

/** One import, of whatever form. */
export interface ImportEdge {
  readonly from: string;
  /** A file of the repository as it is written (`src/domain/job.js`), or the name of a package. */
  readonly to: string;
  /** True where nothing is left of it at run time. */
  readonly typeOnly: boolean;
}

export const REPOSITORY_ROOT = join(import.meta.dirname, '..', '..');
const FOLDERS = ['src', 'workflows', 'activities', 'emulators', 'test'] as const;

/** Every TypeScript file of the folders that the design names. */
export function readSources(): readonly SourceText[] {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(REPOSITORY_ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name.replaceAll('\\', '/')}`)
      .sort()
      .map((path) => ({ path, text: readFileSync(join(REPOSITORY_ROOT, path), 'utf8') })),
  );
}

/** Tests and what only tests use: they may import everything. */
export function isTestCode(path: string): boolean {
  return path.startsWith('test/') || /\.test\.[jt]s$/.test(path) || /(^|\/)(test-support|__fixtures__)\//.test(path);
}

export function parse({ path, text }: SourceText): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
}

/**
 * `import`, `import type`, `export … from`, `import()`, `import('…').Type`, `import x = require('…')` and `require('…')`.
 * An import whose name is not a literal goes to `<computed>`, which nobody may import.
 */
export function importsOf(source: SourceText): readonly ImportEdge[] {
  const edges: ImportEdge[] = [];
  const add = (specifier: ts.Node | undefined, typeOnly: boolean): void => {
    const name = specifier !== undefined && ts.isStringLiteralLike(specifier) ? specifier.text : '<computed>';
    const to = name.startsWith('.') ? posix.join(dirname(source.path), name) : name;
    edges.push({ from: source.path, to, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeImport(node.importClause));
    else if (ts.isExportDeclaration(node) && node.moduleSpecifier) add(node.moduleSpecifier, isTypeExport(node));
    else if (ts.isImportTypeNode(node))
      add(ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined, true);
    else if (ts.isImportEqualsDeclaration(node) && ts.isExternalModuleReference(node.moduleReference)) {
      add(node.moduleReference.expression, node.isTypeOnly);
    } else if (ts.isCallExpression(node) && isLoad(node.expression)) add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(parse(source));
  return edges;
}

const isLoad = (callee: ts.Expression): boolean =>
  callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require');

function isTypeImport(clause: ts.ImportClause | undefined): boolean {
  if (clause === undefined) return false;
  if (clause.phaseModifier === ts.SyntaxKind.TypeKeyword) return true;
  const bindings = clause.namedBindings;
  // `import { type A }` keeps an import for its side effects under `verbatimModuleSyntax`, yet brings no value.
  return clause.name === undefined && bindings !== undefined && ts.isNamedImports(bindings)
    ? bindings.elements.length > 0 && bindings.elements.every((element) => element.isTypeOnly)
    : false;
}

function isTypeExport(declaration: ts.ExportDeclaration): boolean {
  if (declaration.isTypeOnly) return true;
  const clause = declaration.exportClause;
  return clause !== undefined && ts.isNamedExports(clause)
    ? clause.elements.length > 0 && clause.elements.every((element) => element.isTypeOnly)
    : false;
}
