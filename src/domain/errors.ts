/**
 * The closed table of what can go wrong. `docs/errors.md` is generated from it.
 *
 * `status` is the HTTP status of an answer with this code. `wireCode` is what `error.code` says where
 * OpenAI says something else than our name for it (null included). `retryable` tells the activities whether
 * the same attempt may succeed later.
 */
export interface ErrorCodeEntry {
  readonly status: number;
  readonly type: 'invalid_request_error' | 'authentication_error' | 'server_error' | 'rate_limit_error';
  readonly retryable: boolean;
  readonly meaning: string;
  readonly wireCode?: string | null;
}

const entry = (
  status: number,
  type: ErrorCodeEntry['type'],
  retryable: boolean,
  meaning: string,
  wireCode?: string | null,
): ErrorCodeEntry => ({ status, type, retryable, meaning, ...(wireCode === undefined ? {} : { wireCode }) });

export const ERROR_CODES = {
  // Requests
  invalid_request: entry(400, 'invalid_request_error', false, 'A field or parameter is wrong; `param` names it.', null),
  invalid_json: entry(
    400,
    'invalid_request_error',
    false,
    'The body is not JSON; the message gives the position.',
    null,
  ),
  unknown_parameter: entry(
    400,
    'invalid_request_error',
    false,
    "A key that is neither OpenAI's nor an option of the chosen provider.",
  ),
  unsupported_parameter: entry(
    400,
    'invalid_request_error',
    false,
    'The chosen provider cannot express this parameter.',
  ),
  unsupported_operation: entry(
    400,
    'invalid_request_error',
    false,
    'The provider, or this gateway, does not have this operation.',
  ),
  ambiguous_mode: entry(
    400,
    'invalid_request_error',
    false,
    '`portkey_options` together with a provider header: managed and client mode at once.',
  ),
  virtual_key_required: entry(
    400,
    'invalid_request_error',
    false,
    'No virtual key was named and the model does not decide it; the message names the candidates.',
  ),
  unknown_virtual_key: entry(400, 'invalid_request_error', false, 'No virtual key of this workspace has that slug.'),
  model_not_available: entry(
    400,
    'invalid_request_error',
    false,
    'The model does not exist at the provider or cannot be fine-tuned.',
  ),
  invalid_training_file: entry(
    400,
    'invalid_request_error',
    false,
    'The training or validation file is unknown, has another purpose, or its rows are wrong; the message names the lines.',
  ),
  invalid_file_format: entry(400, 'invalid_request_error', false, 'A file for fine-tuning that is not .jsonl.', null),
  invalid_job_state: entry(
    400,
    'invalid_request_error',
    false,
    'Cancel, pause or resume of a job that is not in a state for it.',
    null,
  ),
  missing_api_key: entry(401, 'invalid_request_error', false, 'No gateway key was sent.', null),
  invalid_api_key: entry(401, 'invalid_request_error', false, 'The gateway key is wrong, revoked or expired.'),
  not_found: entry(404, 'invalid_request_error', false, 'No such route.', 'unknown_url'),
  not_supported: entry(404, 'invalid_request_error', false, "A route of OpenAI's API that is not ours."),
  job_not_found: entry(
    404,
    'invalid_request_error',
    false,
    'No such fine-tuning job in this workspace.',
    'fine_tune_not_found',
  ),
  file_not_found: entry(404, 'invalid_request_error', false, 'No such file in this workspace.', null),
  upload_not_found: entry(404, 'invalid_request_error', false, 'No such upload in this workspace.', null),
  upload_not_pending: entry(
    400,
    'invalid_request_error',
    false,
    'The upload is completed, cancelled or expired: nothing can be added to it.',
    null,
  ),
  virtual_key_not_found: entry(404, 'invalid_request_error', false, 'No such virtual key in this workspace.'),
  method_not_allowed: entry(
    405,
    'invalid_request_error',
    false,
    'The route exists, with another method; `Allow` names them.',
  ),
  request_timeout: entry(408, 'invalid_request_error', true, 'The headers of the request did not arrive in time.'),
  conflict: entry(409, 'invalid_request_error', false, 'The name is taken, or another change came first.'),
  file_in_use: entry(409, 'invalid_request_error', false, 'An open job needs the file.'),
  virtual_key_in_use: entry(409, 'invalid_request_error', false, 'Open jobs use the virtual key.'),
  payload_too_large: entry(413, 'invalid_request_error', false, 'The body, or the file in it, is over the limit.'),
  unsupported_media_type: entry(415, 'invalid_request_error', false, 'The content type is not what this route takes.'),
  range_not_satisfiable: entry(416, 'invalid_request_error', false, 'The range lies outside the file.'),
  expectation_failed: entry(417, 'invalid_request_error', false, 'The header `Expect` asks for something unknown.'),
  idempotency_conflict: entry(
    422,
    'invalid_request_error',
    false,
    'The Idempotency-Key was used before with another body.',
  ),
  headers_too_large: entry(431, 'invalid_request_error', false, 'The request line and headers are too large.'),

  // Ourselves
  internal_error: entry(500, 'server_error', true, 'A fault of the gateway; the log has it under the request id.'),
  database_unavailable: entry(
    503,
    'server_error',
    true,
    'PostgreSQL does not answer; nothing was changed, unless the message says that this is not known.',
  ),
  temporal_unavailable: entry(503, 'server_error', true, 'Temporal does not answer, and this call needs it.'),
  shutting_down: entry(503, 'server_error', true, 'The gateway is stopping; try again.'),
  storage_full: entry(507, 'server_error', true, 'The file store is full; nothing of the file was kept.'),
  storage_unavailable: entry(503, 'server_error', true, 'The file store does not answer.'),
  file_content_missing: entry(500, 'server_error', false, "The file's row exists but its content does not."),
  file_content_damaged: entry(
    500,
    'server_error',
    false,
    'The stored content no longer has the SHA-256 that it had when it came in.',
  ),

  // Providers
  provider_bad_request: entry(
    400,
    'invalid_request_error',
    false,
    'The provider refused the request; its words are in the message.',
  ),
  provider_auth_error: entry(
    400,
    'invalid_request_error',
    false,
    'The provider refused the credentials of the virtual key.',
  ),
  provider_not_found: entry(404, 'invalid_request_error', false, 'The provider does not know the resource.'),
  provider_conflict: entry(409, 'invalid_request_error', false, 'The provider has a resource of that name already.'),
  provider_wrong_state: entry(
    400,
    'invalid_request_error',
    false,
    'The provider says the job is not in a state for this operation.',
    null,
  ),
  provider_rate_limited: entry(429, 'rate_limit_error', true, 'The provider asks to slow down.'),
  provider_quota_exceeded: entry(
    429,
    'rate_limit_error',
    true,
    'A quota at the provider is used up; the job waits as `queued`.',
  ),
  provider_unavailable: entry(
    502,
    'server_error',
    true,
    'The provider cannot be reached, or answered with an error of its own.',
  ),
  provider_invalid_response: entry(502, 'server_error', true, "The provider's answer could not be read."),
  provider_job_missing: entry(404, 'invalid_request_error', false, 'The job vanished at the provider.'),
  provider_job_failed: entry(
    400,
    'invalid_request_error',
    false,
    'The provider ended the job as failed and gave no code.',
  ),
  provider_result_missing: entry(
    502,
    'server_error',
    true,
    'The provider says succeeded but its results do not appear.',
  ),
  credentials_unreadable: entry(
    500,
    'server_error',
    false,
    'The sealed credentials cannot be opened with this master key.',
  ),
} as const satisfies Record<string, ErrorCodeEntry>;

export type ErrorCode = keyof typeof ERROR_CODES;

/** True for a string that names an entry of the table. */
export function isErrorCode(value: string): value is ErrorCode {
  return Object.hasOwn(ERROR_CODES, value);
}

export interface GatewayErrorOptions {
  /** The field or parameter at fault, in the caller's spelling. */
  readonly param?: string;
  /** How long the provider asked us to wait. */
  readonly retryAfterMs?: number;
  /** Overrides the table, where one code can mean both. */
  readonly retryable?: boolean;
  readonly provider?: string;
  /** The provider's own error code. */
  readonly rawCode?: string;
  /** The provider's HTTP status. */
  readonly providerStatus?: number;
  /** The provider's request id, for its support. */
  readonly providerRequestId?: string;
  /** Headers the answer must carry, such as `Allow`. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly cause?: unknown;
}

/** An error somebody outside is told about. The message says what, where, and what to do; never a secret. */
export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: ErrorCode;
  readonly param: string | null;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly provider: string | undefined;
  readonly rawCode: string | undefined;
  readonly providerStatus: number | undefined;
  readonly providerRequestId: string | undefined;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ErrorCode, message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.param = options.param ?? null;
    this.retryable = options.retryable ?? ERROR_CODES[code].retryable;
    this.retryAfterMs = options.retryAfterMs;
    this.provider = options.provider;
    this.rawCode = options.rawCode;
    this.providerStatus = options.providerStatus;
    this.providerRequestId = options.providerRequestId;
    this.headers = options.headers ?? {};
  }
}
