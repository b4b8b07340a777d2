import { GatewayError } from '../domain/errors.js';
import type { S3Credentials } from './location.js';

/** What a failed request to S3 says of itself; a transport's failure has no status. */
export interface S3Problem {
  /** `NoSuchKey`, `SlowDown`, …; of a transport `ECONNRESET`, `TimeoutError`, …. */
  readonly code: string;
  readonly status: number | null;
  readonly requestId: string | null;
  readonly message: string;
}

/**
 * No room, as AWS-compatible servers say it: Ceph and Versity `QuotaExceeded` (403), MinIO `XMinioStorageFull` (507) and
 * `XMinioAdminBucketQuotaExceeded` (400). AWS itself has no such limit.
 */
const FULL = new Set([
  'QuotaExceeded',
  'InsufficientStorage',
  'StorageFull',
  'XMinioStorageFull',
  'XMinioAdminBucketQuotaExceeded',
]);
/** With a status below 500, and worth another attempt. Damaged on the way: sent again from the disk. */
const PASSING = new Set(['RequestTimeout', 'SlowDown', 'BadDigest', 'XAmzContentSHA256Mismatch', 'TimeoutError']);
const MAX_MESSAGE_CHARACTERS = 300;

export function s3Problem(error: unknown): S3Problem {
  if (!(error instanceof Error)) return { code: 'unknown', status: null, requestId: null, message: String(error) };
  const metadata = property(error, '$metadata');
  const status = property(metadata, 'httpStatusCode');
  const requestId = property(metadata, 'requestId');
  const transport = property(error, 'code');
  return {
    // Names of transport failures are `Error`, or say less than their codes.
    code: typeof status !== 'number' && typeof transport === 'string' ? transport : error.name,
    status: typeof status === 'number' ? status : null,
    requestId: typeof requestId === 'string' ? requestId : null,
    message: error.message,
  };
}

/** Whether the same request may end well a moment later. */
export function mayPass(error: unknown): boolean {
  const { code, status } = s3Problem(error);
  if (code === 'CredentialsProviderError' || code === 'AbortError') return false;
  return status === null || status >= 500 || status === 429 || status === 408 || PASSING.has(code);
}

export interface S3FailureContext {
  readonly bucket: string;
  readonly region: string;
  readonly credentials: S3Credentials | null;
  /** Where this content not being there is told apart from other failures. */
  readonly contentId?: string;
}

/**
 * A failed request in our words. The cause has the code, status and request id for whoever owns the store, in a new error: the
 * SDK's own carry the request, and a refused signature what was signed.
 */
export function s3Failure(error: unknown, context: S3FailureContext): GatewayError {
  if (error instanceof GatewayError) return error;
  const problem = s3Problem(error);
  const cause = Object.assign(new Error(explain(problem, context)), {
    code: problem.code,
    httpStatus: problem.status,
    requestId: problem.requestId,
  });
  if (context.contentId !== undefined && problem.code === 'NoSuchKey') {
    const message = `The content of ${context.contentId} is not in the file store.`;
    return new GatewayError('file_content_missing', message, { cause });
  }
  if (problem.status === 507 || FULL.has(problem.code)) {
    return new GatewayError('storage_full', 'The file store is full; nothing of the file was kept.', { cause });
  }
  return new GatewayError('storage_unavailable', 'The file store does not answer. Try again shortly.', { cause });
}

function explain(problem: S3Problem, context: S3FailureContext): string {
  const said = redacted(problem.message, context.credentials).slice(0, MAX_MESSAGE_CHARACTERS);
  const status = problem.status === null ? '' : `, HTTP ${problem.status}`;
  return `S3: ${hint(problem, context)}${said} (${problem.code}${status})`;
}

function hint({ code, status }: S3Problem, { bucket, region }: S3FailureContext): string {
  switch (code) {
    case 'NoSuchBucket':
      return `there is no bucket ${bucket}: `;
    case 'InvalidAccessKeyId':
    case 'SignatureDoesNotMatch':
    case 'InvalidToken':
    case 'ExpiredToken':
    case 'XAdminUserNotFound': // Versity's gateway
      return 'the credentials are refused: ';
    case 'CredentialsProviderError':
      return 'there are no credentials: ';
    case 'PermanentRedirect':
    case 'AuthorizationHeaderMalformed':
      return `the bucket ${bucket} may not be in the region ${region}: `;
    default:
      return status === 403 ? `these credentials may not do this in the bucket ${bucket}: ` : '';
  }
}

function redacted(text: string, credentials: S3Credentials | null): string {
  if (credentials === null) return text;
  return text.replaceAll(credentials.secretAccessKey, '***').replaceAll(credentials.accessKeyId, '***');
}

function property(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
