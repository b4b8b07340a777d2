import type { RequestHandler } from 'express';
import { GatewayError } from '../domain/errors.js';

/** What Node.js would refuse with an empty body: HTTP/1.1 without Host, and expectations that nobody can meet. */
export const checkProtocol: RequestHandler = (request, _response, next) => {
  if (request.headers.host === undefined && request.httpVersion === '1.1') {
    throw new GatewayError('invalid_request', 'The request has no Host header.', { headers: { Connection: 'close' } });
  }
  const { expect } = request.headers;
  if (expect !== undefined && expect.trim().toLowerCase() !== '100-continue') {
    throw new GatewayError('expectation_failed', "The header Expect can only be '100-continue'.", {
      headers: { Connection: 'close' },
    });
  }
  next();
};
