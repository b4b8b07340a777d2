import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildTemporal } from './finder-build.js';
import { defaultCacheDirectory, findTemporal } from './finder.js';
import type { TemporalSource } from './temporal-program.js';
import { PINNED_TEMPORAL_VERSION, isAtLeast, parseTemporalVersion } from './version.js';

let directory: string;
let cacheDirectory: string;
let messages: string[];
let progress: string[];

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tunesmith-finder-'));
  cacheDirectory = join(directory, 'cache');
  await mkdir(cacheDirectory);
  messages = [];
  progress = [];
});

afterEach(() => rm(directory, { recursive: true, force: true }));

const writeProgram = async (folder: string, name: string, script: string): Promise<string> => {
  await mkdir(join(directory, folder), { recursive: true });
  const path = join(directory, folder, name);
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
  return path;
};

const saysVersion = (version: string): string => `echo "temporal version ${version} (Server 1.31.2, UI 2.50.1)"`;

const log = (message: string): void => {
  messages.push(message);
};

/** A Go toolchain that writes a program with the asked version where `-o` says, and counts how often it ran. */
const fakeGo = (more = ''): Promise<string> =>
  writeProgram(
    'go',
    'go',
    `echo "$CGO_ENABLED $PWD" >> "${directory}/go-runs"
${more}
while [ "$1" != "-o" ]; do shift; done
printf '#!/bin/sh\\n${saysVersion(PINNED_TEMPORAL_VERSION)}\\n' > "$2"`,
  );

const build = (path: string): Promise<string> =>
  buildTemporal({
    environment: { PATH: `${path}:/usr/bin:/bin` },
    cacheDirectory,
    log,
    onProgress: (text) => progress.push(text),
    signal: undefined,
  });

describe('findTemporal', () => {
  const nothing: TemporalSource = { name: 'a place without', find: () => Promise.reject(new Error('it is empty')) };

  it('takes the program on PATH when it is the pinned version or later', async () => {
    const program = await writeProgram('bin', 'temporal', saysVersion('1.10.0'));
    const environment = { PATH: `${join(directory, 'missing')}:${join(directory, 'bin')}` };
    expect(await findTemporal({ environment, cacheDirectory, log })).toEqual({ path: program, source: 'PATH' });
    expect(messages).toEqual([]);
  });

  it('passes over an older program on PATH, says so, and takes the one kept from an earlier start', async () => {
    const old = await writeProgram('bin', 'temporal', saysVersion('1.5.1'));
    const kept = await writeProgram('cache', 'temporal', saysVersion(PINNED_TEMPORAL_VERSION));
    const found = await findTemporal({ environment: { PATH: join(directory, 'bin') }, cacheDirectory, log });
    expect(found).toEqual({ path: kept, source: 'an earlier start' });
    expect(messages).toEqual([
      `no Temporal server from PATH: ${old} is version 1.5.1, older than ${PINNED_TEMPORAL_VERSION}`,
    ]);
  });

  it('passes over a program on PATH that does not run', async () => {
    await writeProgram('bin', 'temporal', 'echo "wrong architecture" >&2; exit 126');
    const kept = await writeProgram('cache', 'temporal', saysVersion(PINNED_TEMPORAL_VERSION));
    const found = await findTemporal({ environment: { PATH: join(directory, 'bin') }, cacheDirectory, log });
    expect(found.path).toBe(kept);
    expect(messages).toHaveLength(1);
    expect(messages[0]).toMatch(/--version failed: wrong architecture$/);
  });

  it('tries its sources in order and stops at the first that has one', async () => {
    const sources: readonly TemporalSource[] = [
      nothing,
      { name: 'a good one', find: () => Promise.resolve('/somewhere/temporal') },
      { name: 'never asked', find: () => Promise.reject(new Error('asked all the same')) },
    ];
    const found = await findTemporal({ environment: {}, cacheDirectory, log, sources });
    expect(found).toEqual({ path: '/somewhere/temporal', source: 'a good one' });
    expect(messages).toEqual(['no Temporal server from a place without: it is empty']);
  });

  it('gives every reason and the ways out when no source has one', async () => {
    const failure = findTemporal({ environment: {}, cacheDirectory, log, sources: [nothing] });
    await expect(failure).rejects.toThrow(/ {2}- a place without: it is empty\n[^]*on PATH[^]*TEMPORAL_ADDRESS/);
  });

  it('ends without trying further when it is broken off', async () => {
    const controller = new AbortController();
    const sources: readonly TemporalSource[] = [
      {
        name: 'interrupted',
        find: () => {
          controller.abort(new Error('stopping'));
          return Promise.reject(new Error('broken off'));
        },
      },
      { name: 'never asked', find: () => Promise.resolve('/somewhere/temporal') },
    ];
    const failure = findTemporal({ environment: {}, cacheDirectory, log, sources, signal: controller.signal });
    await expect(failure).rejects.toThrow('stopping');
  });
});

describe('the build by the Go toolchain', () => {
  it('keeps the program in the cache, built without C in the folder that pins it', async () => {
    const path = await build(join(await fakeGo(), '..'));
    expect(path).toBe(join(cacheDirectory, 'temporal'));
    const runs = await import('node:fs/promises').then((fs) => fs.readFile(join(directory, 'go-runs'), 'utf8'));
    expect(runs).toMatch(/^0 .*\/tools\/temporal\n$/);
    expect((await readdir(cacheDirectory)).filter((name) => !name.startsWith('build.lock'))).toEqual(['temporal']);
  });

  it('fails with the last line of the compiler and leaves nothing that could be taken for a program', async () => {
    const go = await fakeGo('echo "go: downloading" >&2; echo "go: requires go >= 1.26.4" >&2; exit 1');
    await expect(build(join(go, '..'))).rejects.toThrow('go build failed: go: requires go >= 1.26.4');
    expect((await readdir(cacheDirectory)).filter((name) => !name.startsWith('build.lock'))).toEqual([]);
  });

  it('says that there is no toolchain', async () => {
    const failure = buildTemporal({ environment: {}, cacheDirectory, log, onProgress: log, signal: undefined });
    await expect(failure).rejects.toThrow('no program named go on PATH');
  });

  it('shows every few seconds that it is still at work', async () => {
    const waits = await fakeGo(`while [ ! -e "${directory}/go-on" ]; do sleep 0.1; done`);
    const built = buildTemporal({
      environment: { PATH: `${join(waits, '..')}:/usr/bin:/bin` },
      cacheDirectory,
      log,
      onProgress: (text) => {
        progress.push(text);
        void writeFile(join(directory, 'go-on'), '');
      },
      signal: undefined,
    });
    await built;
    expect(progress[0]).toMatch(/^building Temporal \S+ with Go \(\d+ s\)$/);
  });

  it('can be broken off', async () => {
    const controller = new AbortController();
    const go = await fakeGo('while true; do sleep 0.1; done');
    const built = buildTemporal({
      environment: { PATH: `${join(go, '..')}:/usr/bin:/bin` },
      cacheDirectory,
      log: () => controller.abort(new Error('stopping')),
      onProgress: log,
      signal: controller.signal,
    });
    await expect(built).rejects.toThrow('stopping');
  });
});

describe('the version of the program', () => {
  it.each([
    ['temporal version 1.8.2 (Server 1.31.2, UI 2.50.1)', '1.8.2'],
    ['temporal version 1.9.0-rc.1 (Server 1.32.0)', '1.9.0-rc.1'],
    ['tctl version 1.18.0', undefined],
  ])('reads %j as %s', (output, version) => {
    expect(parseTemporalVersion(output)).toBe(version);
  });

  it.each([
    ['1.8.2', true],
    ['1.8.10', true],
    ['2.0.0', true],
    ['1.9.0-rc.1', true],
    ['1.8.2-rc.1', false],
    ['1.8.1', false],
    ['0.13.2', false],
  ])('finds %s at least 1.8.2: %s', (version, expected) => {
    expect(isAtLeast(version, '1.8.2')).toBe(expected);
  });
});

describe('the cache directory', () => {
  it('follows XDG_CACHE_HOME, and otherwise the home directory', () => {
    expect(defaultCacheDirectory({ XDG_CACHE_HOME: '/caches', HOME: '/home/ada' })).toBe(
      `/caches/tunesmith/temporal-${PINNED_TEMPORAL_VERSION}`,
    );
    expect(defaultCacheDirectory({ XDG_CACHE_HOME: '', HOME: '/home/ada' })).toMatch(
      /^\/home\/ada\/(\.cache|Library\/Caches)\/tunesmith\//,
    );
  });
});
