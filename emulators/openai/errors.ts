import { ReplyError } from '../core/emulator.js';

/** OpenAI's error envelope: all four keys are always there. */
export function errorEnvelope(
  message: string,
  details: { type?: string; param?: string | null; code?: string | null } = {},
): unknown {
  return {
    error: {
      message,
      type: details.type ?? 'invalid_request_error',
      param: details.param ?? null,
      code: details.code ?? null,
    },
  };
}

export function refuse(
  status: number,
  message: string,
  details: { type?: string; param?: string | null; code?: string | null } = {},
): ReplyError {
  return new ReplyError({ status, json: errorEnvelope(message, details) });
}

export const badRequest = (message: string, param: string | null = null, code: string | null = null): ReplyError =>
  refuse(400, message, { param, code });

export const noSuchFile = (id: string): ReplyError => refuse(404, `No such File object: ${id}`, { param: 'id' });

export const noSuchJob = (id: string): ReplyError =>
  refuse(404, `Could not find fine tune: ${id}`, { param: 'fine_tune_id', code: 'fine_tune_not_found' });

export const noSuchUpload = (id: string): ReplyError => refuse(404, `No such Upload object: ${id}`, { param: 'id' });

/** The body OpenAI has for a status, for faults that name only the status. */
export function errorBodyForStatus(status: number): unknown {
  switch (status) {
    case 401:
      return errorEnvelope('Incorrect API key provided.', { code: 'invalid_api_key' });
    case 403:
      return errorEnvelope('You are not allowed to perform this operation.');
    case 429:
      return errorEnvelope('Rate limit reached for requests', { type: 'requests', code: 'rate_limit_exceeded' });
    case 503:
      return errorEnvelope('The engine is currently overloaded, please try again later', { type: 'server_error' });
    default:
      return status >= 500
        ? errorEnvelope('The server had an error while processing your request. Sorry about that!', {
            type: 'server_error',
          })
        : errorEnvelope('Invalid request.');
  }
}
