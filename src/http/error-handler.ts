import type { ErrorRequestHandler } from 'express';
import { ERROR_CODES, GatewayError, type ErrorCodeEntry } from '../domain/errors.js';
import type { Logger } from '../observability/logger.js';
import { discardUnreadBody } from './unread-body.js';

/** The one shape of every error answer. */
export interface ErrorEnvelope {
  readonly error: {
    readonly message: string;
    readonly type: string;
    readonly param: string | null;
    readonly code: string | null;
  };
}

/** Anything thrown → OpenAI's envelope. The text of a 500 stays in the log, under the request id. */
export function createErrorHandler(logger: Logger): ErrorRequestHandler {
  // eslint-disable-next-line @typescript-eslint/no-unused-vars -- Express knows an error handler by its four parameters
  return (error: unknown, request, response, _next) => {
    const { requestId } = request;
    if (request.socket.destroyed || (request.readableAborted && !request.complete)) {
      logger.debug({ requestId }, 'the client went away');
      response.destroy();
      return;
    }
    const known = toGatewayError(error);
    const entry: ErrorCodeEntry = ERROR_CODES[known.code];
    if (entry.status === 500) logger.error({ requestId, code: known.code, err: error }, 'request failed');
    else if (entry.status > 500)
      logger.warn({ requestId, code: known.code, why: reasonOf(known) }, 'request not served');
    if (response.headersSent) {
      // Too late for an answer: a cut connection is the only sign that the body is not whole.
      response.destroy();
      return;
    }
    for (const [name, value] of Object.entries(known.headers)) response.set(name, value);
    if (known.retryAfterMs !== undefined) {
      response.set('Retry-After', String(Math.max(1, Math.ceil(known.retryAfterMs / 1000))));
    }
    discardUnreadBody(request);
    response.status(entry.status).json(errorEnvelope(known, requestId));
  };
}

/** The body of an error answer. */
export function errorEnvelope(error: GatewayError, requestId: string): ErrorEnvelope {
  const entry: ErrorCodeEntry = ERROR_CODES[error.code];
  return {
    error: {
      message: entry.status === 500 ? hiddenMessage(requestId) : error.message,
      type: entry.type,
      param: error.param,
      code: entry.wireCode === undefined ? error.code : entry.wireCode,
    },
  };
}

/** Something we depend on is away: one line says what, a stack would say nothing more. */
function reasonOf(error: GatewayError): string {
  return error.cause instanceof Error ? error.cause.message : error.message;
}

function hiddenMessage(requestId: string): string {
  return `The server had an error while processing your request. The gateway's log has the details under the request ID ${requestId}.`;
}

function toGatewayError(error: unknown): GatewayError {
  if (error instanceof GatewayError) return error;
  // Express: a path that cannot be decoded.
  if (error instanceof URIError) return new GatewayError('invalid_request', 'The URL cannot be decoded.');
  return new GatewayError('internal_error', 'Unexpected error.', { cause: error });
}
