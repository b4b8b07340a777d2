// Errors of the OpenAI dialect, as the `openai` client throws them, in our words.
import { APIConnectionError, APIError } from 'openai';
import { z } from 'zod';
import { GatewayError, type ErrorCode, type GatewayErrorOptions } from '../../domain/errors.js';
import { redactSecrets } from './redact.js';
import { retryAfterMs } from './retry-after.js';

/** What was being asked; some refusals mean different things by it. */
export type OperationKind = 'read' | 'create' | 'control' | 'upload';

export interface ErrorContext {
  /** The vendor as people write it. */
  readonly vendor: string;
  readonly provider: string;
  readonly kind: OperationKind;
  /** Values that must not appear in any message. */
  readonly secrets: readonly string[];
}

const errorBody = z.looseObject({
  message: z.string().nullish(),
  type: z.string().nullish(),
  code: z.union([z.string(), z.number()]).nullish(),
  param: z.string().nullish(),
});

const MODEL_REFUSED = /\bmodel\b.*(is not available for fine-tuning|does not exist)/is;
/** OpenAI's words for its limit on jobs that run and wait. */
const TOO_MANY_JOBS = /maximum of \d+ active requests|active fine-?tun(e|ing) jobs?/i;
const MAX_MESSAGE_CHARACTERS = 1000;

/**
 * A failed call as a GatewayError: `provider_auth_error` (401, 403), `provider_not_found` (404), `provider_conflict` (409),
 * `provider_wrong_state` (400 or 409 of cancel, pause, resume), `model_not_available`, `provider_rate_limited` and
 * `provider_quota_exceeded` (429), `provider_unavailable` (408, 425, 5xx, network), `provider_bad_request` (other 4xx),
 * `provider_invalid_response` (a 4xx whose body is a page, or a 404 without one).
 */
export function toGatewayError(error: unknown, context: ErrorContext): GatewayError {
  if (error instanceof GatewayError) return error;
  if (isApiError(error) && error.status !== undefined) return fromStatus(error, error.status, context);
  // Whatever else a call throws is the way to the vendor and back: the client, fetch, a body that broke off.
  const reason = redactSecrets(networkReason(error), context.secrets);
  return new GatewayError('provider_unavailable', `${context.vendor} cannot be reached: ${reason}.`, {
    provider: context.provider,
  });
}

/** `instanceof` alone gives the class's type parameters as any. */
function isApiError(error: unknown): error is APIError {
  return error instanceof APIError;
}

function fromStatus(error: APIError, status: number, context: ErrorContext): GatewayError {
  const { vendor } = context;
  const envelope = typeof error.error === 'string' ? { message: error.error } : error.error;
  const parsed = envelope === undefined ? undefined : errorBody.safeParse(envelope).data;
  const rawCode = parsed?.code === null || parsed?.code === undefined ? undefined : String(parsed.code);
  const words = redactSecrets(parsed?.message ?? '', context.secrets).slice(0, MAX_MESSAGE_CHARACTERS);
  const requestId = error.requestID ?? undefined;
  const waitMs = retryAfterMs(error.headers, Date.now());
  const options: GatewayErrorOptions = {
    provider: context.provider,
    providerStatus: status,
    ...(rawCode === undefined ? {} : { rawCode }),
    ...(typeof parsed?.param === 'string' ? { param: parsed.param } : {}),
    ...(requestId === undefined ? {} : { providerRequestId: requestId }),
    ...(waitMs === undefined ? {} : { retryAfterMs: waitMs }),
  };
  // The client gives a body that is not JSON as the message alone.
  const foreign = parsed === undefined && !error.message.endsWith('(no body)');
  const code = codeOf(status, parsed, rawCode, context.kind, foreign);
  const said = words === '' ? `status ${status}` : words;
  return new GatewayError(
    code,
    `${leadIn(code, vendor)}: ${said}`,
    code === 'model_not_available' ? { ...options, param: 'model' } : options,
  );
}

function codeOf(
  status: number,
  body: z.infer<typeof errorBody> | undefined,
  rawCode: string | undefined,
  kind: OperationKind,
  foreign: boolean,
): ErrorCode {
  if (status === 429) {
    const quota =
      rawCode === 'insufficient_quota' ||
      body?.type === 'insufficient_quota' ||
      // Too many jobs at once has the code of too many requests (`rate_limit_exceeded`); only the words differ.
      (kind === 'create' && TOO_MANY_JOBS.test(body?.message ?? ''));
    return quota ? 'provider_quota_exceeded' : 'provider_rate_limited';
  }
  if (status >= 500 || status === 408 || status === 425) return 'provider_unavailable';
  if (status === 413) return 'provider_bad_request';
  // A page of a proxy, and an empty 404, prove nothing about a job.
  if (foreign || (body === undefined && status === 404)) return 'provider_invalid_response';
  if (status === 401 || status === 403) return 'provider_auth_error';
  if (kind === 'create' && (rawCode === 'model_not_available' || MODEL_REFUSED.test(body?.message ?? ''))) {
    return 'model_not_available';
  }
  if (status === 404) return 'provider_not_found';
  if (kind === 'control' && (status === 400 || status === 409)) return 'provider_wrong_state';
  return status === 409 ? 'provider_conflict' : 'provider_bad_request';
}

function leadIn(code: ErrorCode, vendor: string): string {
  switch (code) {
    case 'provider_auth_error':
      return `${vendor} refused the credentials`;
    case 'provider_rate_limited':
      return `${vendor} asks to slow down`;
    case 'provider_quota_exceeded':
      return `A quota at ${vendor} is used up`;
    case 'provider_unavailable':
      return `${vendor} answered with an error of its own`;
    case 'provider_invalid_response':
      return `${vendor}'s address gave an answer that is not ${vendor}'s`;
    default:
      return `${vendor} refused the request`;
  }
}

/** The innermost reason that undici or Node gives, such as ECONNREFUSED, in place of "fetch failed". */
function networkReason(error: unknown): string {
  let reason = 'the connection failed';
  let current = error;
  for (let depth = 0; depth < 5 && current instanceof Error; depth += 1) {
    if ('code' in current && typeof current.code === 'string') reason = current.code;
    else if (!(current instanceof APIConnectionError) && current.message !== '') reason = current.message;
    current = current.cause;
  }
  return reason;
}
