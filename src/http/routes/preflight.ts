import type { Request, Response, Router } from 'express';
import { GatewayError } from '../../domain/errors.js';
import type { FilesService } from '../../files/files-service.js';
import { requireCaller } from '../auth.js';
import type { FilePreflight } from '../file-preflight.js';
import { withoutIdleTimeout } from '../idle-timeout.js';
import { jsonBody } from '../json-body.js';
import { managedModeOnly } from '../mode.js';
import { createRouter, pathParameter } from '../route-table.js';
import { preflightReportObject } from '../schemas/preflight-report.js';
import { parsePreflightRequest } from '../schemas/preflight-request.js';

export interface PreflightRouterDependencies {
  readonly files: Pick<FilesService, 'get'>;
  readonly filePreflight: FilePreflight;
}

/** `POST /v1/files/{id}/preflight`: what would be wrong with a file as the dataset of a job. */
export function createPreflightRouter({ files, filePreflight }: PreflightRouterDependencies): Router {
  return createRouter({
    '/v1/files/:id/preflight': {
      POST: [
        managedModeOnly,
        jsonBody({ optional: true }),
        async (request, response) => {
          const { workspaceId } = requireCaller(request);
          const wanted = parsePreflightRequest(request.body);
          const file = await files.get(workspaceId, pathParameter(request, 'id'));
          if (file.purpose !== 'fine-tune') {
            throw new GatewayError(
              'invalid_request',
              `Preflight reads files of purpose 'fine-tune'; ${file.id} has '${file.purpose}'.`,
            );
          }
          const report = await whileConnected(request, response, (signal) => filePreflight.check(file, wanted, signal));
          response.json({ object: 'file.preflight', file_id: file.id, ...preflightReportObject(report) });
        },
      ],
    },
  });
}

/** A client that leaves ends the work. */
async function whileConnected<Result>(
  request: Request,
  response: Response,
  work: (signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const gone = new AbortController();
  const onClose = (): void => gone.abort(new Error('the client went away'));
  response.once('close', onClose);
  if (response.closed) onClose();
  try {
    return await withoutIdleTimeout(request, () => work(gone.signal));
  } finally {
    response.off('close', onClose);
  }
}
