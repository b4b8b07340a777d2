/** Of the S3 server that the tests run against, Versity's gateway. */
export const S3_SERVER_VERSION: string;

/** Where its program is kept for later runs: below `$XDG_CACHE_HOME` or what the platform has for it. */
export function s3ServerDirectory(environment: Readonly<Record<string, string | undefined>>): string;

/** Path of the program, kept or not. */
export function s3ServerProgram(environment: Readonly<Record<string, string | undefined>>): string;
