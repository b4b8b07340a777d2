import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { keptSecret, prepareHome } from './home.js';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tunesmith-home-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

describe('a kept secret', () => {
  test('is made once, readable by its owner alone', async () => {
    expect(await keptSecret(home, 'master-key', () => 'one')).toEqual({ value: 'one', made: true });
    expect(await keptSecret(home, 'master-key', () => 'two')).toEqual({ value: 'one', made: false });
    expect((await stat(join(home, 'master-key'))).mode & 0o777).toBe(0o600);
  });

  test.each(['', '\n \n'])('whose file is empty (%j) is never made anew', async (content) => {
    const path = join(home, 'master-key');
    await writeFile(path, content);
    const attempt = keptSecret(home, 'master-key', () => 'new');
    await expect(attempt).rejects.toThrow(`${path} is empty`);
    await expect(attempt).rejects.toThrow(/restore it.*delete/i);
    expect(await readFile(path, 'utf8')).toBe(content);
  });

  test('that cannot be read says which file', async () => {
    await mkdir(join(home, 'api-key'));
    await expect(keptSecret(home, 'api-key', () => 'new')).rejects.toThrow(`cannot read ${join(home, 'api-key')}`);
  });
});

describe('the home', () => {
  test('is made with its parents, for this user alone', async () => {
    const deep = join(home, 'a', 'b');
    await prepareHome(deep);
    await prepareHome(deep);
    expect((await stat(deep)).mode & 0o777).toBe(0o700);
    expect(await readdir(deep)).toEqual([]);
  });

  test.each([
    ['is a file', ''],
    ['lies below a file', 'below'],
  ])('that %s is refused with its path and what to set', async (_what, below) => {
    const file = join(home, 'file');
    await writeFile(file, 'kept');
    const path = join(file, below);
    await expect(prepareHome(path)).rejects.toThrow(new RegExp(`${path}.*is not a directory.*TUNESMITH_HOME`));
    expect(await readFile(file, 'utf8')).toBe('kept');
  });

  test('that cannot be written is refused with its path and what to set', async () => {
    // Not even root writes here.
    for (const path of ['/sys/tunesmith', '/sys']) {
      await expect(prepareHome(path)).rejects.toThrow(
        new RegExp(`^cannot use ${path} as the home: it cannot be written.*TUNESMITH_HOME`),
      );
    }
  });
});
