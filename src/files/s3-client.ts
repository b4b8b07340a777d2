import { S3Client } from '@aws-sdk/client-s3';
import type { S3Credentials, S3Location } from './location.js';

export interface S3Timing {
  /** To a connection. */
  readonly connectionTimeoutMs: number;
  /** Without a byte in either direction; what takes long and goes on is not cut. */
  readonly idleTimeoutMs: number;
  /** Of one request, the first included. */
  readonly attempts: number;
  /** Before the second attempt; doubled for each further one. */
  readonly retryDelayMs: number;
  /** All of `check`. */
  readonly checkTimeoutMs: number;
}

export const DEFAULT_S3_TIMING: S3Timing = {
  connectionTimeoutMs: 5_000,
  idleTimeoutMs: 30_000,
  attempts: 3,
  retryDelayMs: 200,
  checkTimeoutMs: 5_000,
};

/** Readers that a client lets wait hold a connection until the idle time-out. */
const MAX_SOCKETS = 256;

/**
 * The client of one location. Everything that the SDK would otherwise take from its environment variables and files is
 * given here, apart from credentials where we have none.
 *
 * Checksums: each write carries one that S3 compares (see `s3-upload.ts`). Those of answers are not asked for, because
 * S3 has none for a range; `FileContents` compares the SHA-256 of a whole read.
 */
export function createS3Client(location: S3Location, credentials: S3Credentials | null, timing: S3Timing): S3Client {
  return new S3Client({
    region: location.region,
    ...(location.endpoint === null ? {} : { endpoint: location.endpoint }),
    ...(credentials === null ? {} : { credentials: { ...credentials } }),
    forcePathStyle: location.pathStyle,
    authSchemePreference: ['sigv4'],
    sigv4aSigningRegionSet: [location.region],
    ignoreConfiguredEndpointUrls: true,
    useDualstackEndpoint: false,
    useFipsEndpoint: false,
    useArnRegion: false,
    disableS3ExpressSessionAuth: false,
    defaultsMode: 'legacy',
    userAgentAppId: 'tunesmith',
    retryMode: 'standard',
    maxAttempts: timing.attempts,
    requestChecksumCalculation: 'WHEN_SUPPORTED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    // A server that does not know it would cost six seconds for each write.
    expectContinueHeader: false,
    requestHandler: {
      connectionTimeout: timing.connectionTimeoutMs,
      socketTimeout: timing.idleTimeoutMs,
      httpAgent: { maxSockets: MAX_SOCKETS },
      httpsAgent: { maxSockets: MAX_SOCKETS },
    },
    // The SDK's own writes some warnings on the console; every failure comes back as an error.
    logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
  });
}

function silent(): void {
  // Nothing to say.
}
