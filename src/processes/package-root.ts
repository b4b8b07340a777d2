import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

const packageSchema = z.object({ name: z.literal('tunesmith') });

/** The directory of our `package.json`, from the sources as well as from the build, which lies one level deeper. */
export const findPackageRoot = (): string => {
  const start = dirname(fileURLToPath(import.meta.url));
  for (let directory = start; ; directory = dirname(directory)) {
    if (isOurPackage(directory)) return directory;
    if (dirname(directory) === directory) throw new Error(`no package.json of tunesmith in a directory above ${start}`);
  }
};

const isOurPackage = (directory: string): boolean => {
  try {
    const content: unknown = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
    return packageSchema.safeParse(content).success;
  } catch {
    return false;
  }
};
