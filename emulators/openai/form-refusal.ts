import type { Request } from 'express';
import { MultipartError } from '../core/multipart.js';
import { badRequest } from './errors.js';

/** OpenAI's answer to a form that cannot be read; any other error as it is. */
export function formRefusal(error: unknown, request: Request): unknown {
  if (!(error instanceof MultipartError)) return error;
  return badRequest(
    error.isMultipart
      ? 'Could not parse multipart form data.'
      : `Invalid Content-Type header (${request.headers['content-type'] ?? ''}), expected multipart/form-data.`,
  );
}
