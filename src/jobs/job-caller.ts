/** Whose gateway key came with the call. */
export interface JobCaller {
  readonly workspaceId: string;
  readonly apiKeyId: string;
}

/** The part of a logger that this folder needs; fields are redacted by whoever writes them. */
export interface JobLog {
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}
