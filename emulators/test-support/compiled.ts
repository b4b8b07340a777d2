import { mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import ts from 'typescript';

const folder = join(import.meta.dirname, '..');

/** Compiles the emulators into `target` (types unchecked) and returns the path of their process's entry. */
export function compileEmulators(target: string): string {
  for (const item of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!item.isFile() || !item.name.endsWith('.ts') || item.name.endsWith('.test.ts')) continue;
    const path = join(item.parentPath, item.name);
    const output = join(target, 'emulators', relative(folder, path)).replace(/\.ts$/, '.js');
    mkdirSync(dirname(output), { recursive: true });
    const { outputText } = ts.transpileModule(readFileSync(path, 'utf8'), {
      compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2023, verbatimModuleSyntax: true },
    });
    writeFileSync(output, outputText);
  }
  writeFileSync(join(target, 'package.json'), JSON.stringify({ type: 'module' }));
  symlinkSync(join(folder, '..', 'node_modules'), join(target, 'node_modules'));
  return join(target, 'emulators', 'process.js');
}
