import type { Request, Router } from 'express';
import { z } from 'zod';
import { GatewayError } from '../../domain/errors.js';
import type { FileRow, FilesService, StagedContent } from '../../files/files-service.js';
import { requireCaller } from '../auth.js';
import { sendFileContent } from '../file-content.js';
import { managedModeOnly } from '../mode.js';
import { readMultipart } from '../multipart.js';
import { cursorParameters, optionalText, orderParameter, parseQuery } from '../query.js';
import { createRouter, pathParameter } from '../route-table.js';
import { fileListObject, fileObject } from '../schemas/file-object.js';
import { createUploadForm } from '../schemas/file-upload.js';

const MAX_LIST = 10_000;
/** What the form around a file can take at the most; a longer body is refused before it is read. */
const MAX_FORM_OVERHEAD_BYTES = 4 * 1024 * 1024;
const listQuery = z.strictObject({
  ...cursorParameters({ defaultLimit: MAX_LIST, maxLimit: MAX_LIST }),
  order: orderParameter(),
  purpose: optionalText(),
});

/** `/v1/files`: OpenAI's files. */
export function createFilesRouter(dependencies: { readonly files: FilesService }): Router {
  const { files } = dependencies;
  return createRouter({
    '/v1/files': {
      GET: [
        managedModeOnly,
        async (request, response) => {
          const { workspaceId } = requireCaller(request);
          response.json(fileListObject(await files.list(workspaceId, parseQuery(request, listQuery))));
        },
      ],
      POST: [
        managedModeOnly,
        async (request, response) => {
          response.json(fileObject(await upload(request, files)));
        },
      ],
    },
    '/v1/files/:id': {
      GET: [
        managedModeOnly,
        async (request, response) => {
          const { workspaceId } = requireCaller(request);
          response.json(fileObject(await files.get(workspaceId, pathParameter(request, 'id'))));
        },
      ],
      DELETE: [
        managedModeOnly,
        async (request, response) => {
          const { workspaceId } = requireCaller(request);
          const id = pathParameter(request, 'id');
          await files.delete(workspaceId, id);
          response.json({ id, object: 'file', deleted: true });
        },
      ],
    },
    '/v1/files/:id/content': {
      GET: [
        managedModeOnly,
        async (request, response) => {
          const { workspaceId } = requireCaller(request);
          const file = await files.get(workspaceId, pathParameter(request, 'id'));
          if (file.purpose === 'assistants') {
            // As OpenAI does; the words are its own.
            throw new GatewayError('invalid_request', `Not allowed to download files of purpose: ${file.purpose}`);
          }
          await sendFileContent(request, response, file, files);
        },
      ],
    },
  });
}

/** Content goes to the store as it comes, under a new id; what the form says, in whatever order, decides at the end. */
async function upload(request: Request, files: FilesService): Promise<FileRow> {
  const { workspaceId } = requireCaller(request);
  if (Number(request.get('content-length') ?? 0) > files.maxFileBytes + MAX_FORM_OVERHEAD_BYTES) {
    throw new GatewayError('payload_too_large', `The file is over the limit of ${files.maxFileBytes} bytes.`, {
      param: 'file',
    });
  }
  const form = createUploadForm();
  const staged: StagedContent[] = [];
  try {
    await readMultipart(request, {
      async onFile({ name, filename, content }, signal) {
        form.startFile(name, filename);
        staged.push(await files.stage(content, signal));
      },
      onField: (name, value) => form.addField(name, value),
    });
    const description = form.describe();
    const [content] = staged;
    if (content === undefined)
      throw new GatewayError('invalid_request', "'file' is a required property", { param: 'file' });
    staged.length = 0;
    return await files.commit(workspaceId, content, description);
  } catch (error) {
    for (const content of staged) await files.discard(content);
    throw error;
  }
}
