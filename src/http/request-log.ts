import { randomBytes } from 'node:crypto';
import type { RequestHandler } from 'express';
import type { Logger } from '../observability/logger.js';

/** nginx's word for a client that went away before its answer. */
const CLIENT_CLOSED_REQUEST = 499;

export function newRequestId(): string {
  return `req_${randomBytes(12).toString('hex')}`;
}

/**
 * Gives each request its id, puts it on the answer, and writes one line when the answer is done. A client's own `x-request-id` is not
 * taken over. No header, query or body is logged.
 */
export function createRequestLog(logger: Logger): RequestHandler {
  return (request, response, next) => {
    const startedAt = performance.now();
    const { method, path } = request;
    request.requestId = newRequestId();
    response.set('x-request-id', request.requestId);
    response.once('close', () => {
      const status = response.writableFinished ? response.statusCode : CLIENT_CLOSED_REQUEST;
      const fields = {
        requestId: request.requestId,
        method,
        path,
        status,
        durationMs: Math.round(performance.now() - startedAt),
        ...(request.caller === undefined
          ? {}
          : { workspaceId: request.caller.workspaceId, apiKeyId: request.caller.apiKeyId }),
      };
      // Probes come every few seconds; they are of interest only while they fail.
      if (status < 400 && (path === '/healthz' || path === '/readyz')) logger.debug(fields, 'request');
      else logger.info(fields, 'request');
    });
    next();
  };
}
