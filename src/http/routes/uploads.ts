import type { Request, Router } from 'express';
import { z } from 'zod';
import { parseInput } from '../../domain/parse-input.js';
import type { StagedContent } from '../../files/files-service.js';
import { partTooLarge, type UploadPartRow, type UploadsService } from '../../files/uploads-service.js';
import { requireCaller } from '../auth.js';
import { withoutIdleTimeout } from '../idle-timeout.js';
import { jsonBody } from '../json-body.js';
import { managedModeOnly } from '../mode.js';
import { readMultipart } from '../multipart.js';
import { createRouter, pathParameter } from '../route-table.js';
import { uploadObject, uploadPartObject } from '../schemas/upload-object.js';
import { createUploadPartForm } from '../schemas/upload-part-form.js';
import { parseCompleteUpload, parseCreateUpload } from '../schemas/upload-request.js';

/** What the form around a part can take at the most; a longer body is refused before it is read. */
const MAX_FORM_OVERHEAD_BYTES = 256 * 1024;
/** The ids of as many parts as an upload can have, however they are spaced. */
const MAX_COMPLETE_BODY_BYTES = 2 * 1024 * 1024;
const noParameters = z.strictObject({});

/** `/v1/uploads`: OpenAI's uploads in parts. OpenAI has no call that shows one. */
export function createUploadsRouter(dependencies: { readonly uploads: UploadsService }): Router {
  const { uploads } = dependencies;
  return createRouter({
    '/v1/uploads': {
      POST: [
        managedModeOnly,
        jsonBody(),
        async (request, response) => {
          const { workspaceId } = requireCaller(request);
          response.json(uploadObject(await uploads.create(workspaceId, parseCreateUpload(request.body))));
        },
      ],
    },
    '/v1/uploads/:id/parts': {
      POST: [
        managedModeOnly,
        async (request, response) => {
          response.json(uploadPartObject(await addPart(request, uploads)));
        },
      ],
    },
    '/v1/uploads/:id/complete': {
      POST: [
        managedModeOnly,
        jsonBody({ maxBytes: MAX_COMPLETE_BODY_BYTES }),
        async (request, response) => {
          const { workspaceId } = requireCaller(request);
          const order = parseCompleteUpload(request.body);
          const { upload, file } = await withoutIdleTimeout(request, () =>
            uploads.complete(workspaceId, pathParameter(request, 'id'), order),
          );
          response.json(uploadObject(upload, file));
        },
      ],
    },
    '/v1/uploads/:id/cancel': {
      POST: [
        managedModeOnly,
        jsonBody({ optional: true }),
        async (request, response) => {
          parseInput(noParameters, request.body);
          const { workspaceId } = requireCaller(request);
          response.json(uploadObject(await uploads.cancel(workspaceId, pathParameter(request, 'id'))));
        },
      ],
    },
  });
}

/** Content goes to the store as it comes, under a new id; it is a part once the whole form was read and found right. */
async function addPart(request: Request, uploads: UploadsService): Promise<UploadPartRow> {
  const { workspaceId } = requireCaller(request);
  if (Number(request.get('content-length') ?? 0) > uploads.maxPartBytes + MAX_FORM_OVERHEAD_BYTES) {
    throw partTooLarge(uploads.maxPartBytes);
  }
  const upload = await uploads.requirePending(workspaceId, pathParameter(request, 'id'));
  const form = createUploadPartForm();
  const staged: StagedContent[] = [];
  try {
    await readMultipart(request, {
      async onFile({ name, content }, signal) {
        form.startFile(name);
        staged.push(await uploads.stagePart(content, signal));
      },
      onField: (name, value) => form.addField(name, value),
    });
    const field = form.fieldContent();
    const content = staged.pop() ?? (await uploads.stagePart(chunksOf(field), new AbortController().signal));
    return await uploads.commitPart(upload, content);
  } catch (error) {
    for (const content of staged) await uploads.discardPart(content);
    throw error;
  }
}

async function* chunksOf(content: Buffer | null): AsyncGenerator<Uint8Array> {
  if (content !== null) yield await Promise.resolve(content);
}
