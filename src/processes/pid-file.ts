import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import { processIdentitySchema } from './process-identity.js';

const pidFileSchema = processIdentitySchema.extend({
  name: z.string(),
  /** The program and its arguments, for people who look. Never holds a secret: ours are not passed as arguments. */
  command: z.array(z.string()),
  stopSignal: z.enum(['SIGTERM', 'SIGINT']),
});

/** What is known about a running child after its parent is gone. */
export type PidFileContent = z.infer<typeof pidFileSchema>;

export type StopSignal = PidFileContent['stopSignal'];

/** Written whole or not at all; synchronous, so that nothing happens between the start of a child and its record. */
export const writePidFile = (path: string, content: PidFileContent): void => {
  mkdirSync(dirname(path), { recursive: true });
  const temporary = `${path}.${process.pid}.tmp`;
  writeFileSync(temporary, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o600 });
  renameSync(temporary, path);
};

/** `undefined` when there is no such file, or none that can be understood. */
export const readPidFile = (path: string): PidFileContent | undefined => {
  try {
    const parsed: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return pidFileSchema.safeParse(parsed).data;
  } catch {
    return undefined;
  }
};

export const removePidFile = (path: string): void => {
  rmSync(path, { force: true });
};
