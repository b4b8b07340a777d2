// Runs before `npm start` and `npm test`: installs what is missing and builds what is stale. Needs nothing but Node.
// With --installed the caller has just run `npm ci` and that is believed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const INSTALLED = join(root, 'node_modules', '.tunesmith-installed');
const BUILT = join(root, 'dist', '.built');
const SOURCES = [
  'src',
  'workflows',
  'activities',
  'emulators',
  'tsconfig.json',
  'tsconfig.build.json',
  'scripts/build.mjs',
];

checkNode();
const locked = hash(['package-lock.json']);
if (read(INSTALLED) !== locked) {
  if (!process.argv.includes('--installed')) {
    step('Installing the dependencies (once; about a minute)');
    // By name: with NODE_ENV=production npm would leave out the compiler.
    run('npm', ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error']);
  }
  mkdirSync(dirname(INSTALLED), { recursive: true });
  writeFileSync(INSTALLED, locked);
}
const wanted = hash(['package-lock.json', ...SOURCES]);
if (read(BUILT) !== wanted) {
  step('Building');
  run(process.execPath, [join(root, 'scripts', 'build.mjs')]);
  writeFileSync(BUILT, wanted);
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return;
  console.error(`Tunesmith needs Node 20.19 or newer; this is ${process.version}.`);
  process.exit(1);
}

function read(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : null;
}

/** One digest over the content of files and folders, tests apart. */
function hash(paths) {
  const digest = createHash('sha256');
  for (const path of paths) add(digest, path);
  return digest.digest('hex');
}

function add(digest, path) {
  const absolute = join(root, path);
  if (path.endsWith('.test.ts') || !existsSync(absolute)) return;
  if (statSync(absolute).isDirectory()) {
    for (const name of readdirSync(absolute).sort()) add(digest, `${path}/${name}`);
  } else {
    digest.update(path).update('\0').update(readFileSync(absolute));
  }
}

function step(text) {
  console.error(`tunesmith: ${text} …`);
}

function run(command, args) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
  });
  if (result.status === 0) return;
  console.error(
    `tunesmith: \`${[command, ...args].join(' ')}\` failed${result.error ? `: ${result.error.message}` : ''}`,
  );
  process.exit(result.status ?? 1);
}
