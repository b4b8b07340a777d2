// Where the S3 server of the tests is kept. Needs nothing but Node: it is asked before anything is installed or built.
import { homedir } from 'node:os';
import { join } from 'node:path';

export const S3_SERVER_VERSION = 'v1.8.0';

export function s3ServerDirectory(environment) {
  const home = environment.HOME ?? homedir();
  const configured = environment.XDG_CACHE_HOME;
  const fallback = process.platform === 'darwin' ? join(home, 'Library', 'Caches') : join(home, '.cache');
  const base = configured === undefined || configured === '' ? fallback : configured;
  return join(base, 'tunesmith', `versitygw-${S3_SERVER_VERSION}`);
}

export function s3ServerProgram(environment) {
  return join(s3ServerDirectory(environment), 'versitygw');
}
