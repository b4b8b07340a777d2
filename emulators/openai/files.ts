import type { Request, Router } from 'express';
import { z } from 'zod';
import type { EmulatorContext, OperationHandler, Reply } from '../core/emulator.js';
import { readMultipart } from '../core/multipart.js';
import { freshId } from '../core/random.js';
import { authenticate } from './caller.js';
import { formRefusal } from './form-refusal.js';
import { badRequest, refuse } from './errors.js';
import type { FileRecord, OpenAiFiles } from './file-records.js';
import { pathParameter } from './path-parameter.js';
import { limitOf, pageOf, queryOf } from './paging.js';
import { pythonText } from './schema-check.js';

export const UPLOAD_PURPOSES = ['assistants', 'batch', 'fine-tune', 'vision', 'user_data', 'evals'];
const PARTS = ['file', 'purpose', 'expires_after[anchor]', 'expires_after[seconds]'];
const MEBIBYTE = 1024 * 1024;
const DAY_SECONDS = 86_400;

/** Checks `expires_after` as a form sends it; returns its seconds, or null when it is absent. */
export function expirySeconds(anchor: string | undefined, seconds: string | undefined): number | null {
  if (anchor === undefined && seconds === undefined) return null;
  if (anchor === undefined) throw badRequest("'anchor' is a required property - 'expires_after'");
  if (seconds === undefined) throw badRequest("'seconds' is a required property - 'expires_after'");
  if (anchor !== 'created_at')
    throw badRequest(`${pythonText(anchor)} is not one of ['created_at'] - 'expires_after.anchor'`);
  const value = Number(seconds);
  if (!Number.isInteger(value))
    throw badRequest(`${pythonText(seconds)} is not of type 'integer' - 'expires_after.seconds'`);
  if (value < 3600) throw badRequest(`${seconds} is less than the minimum of 3600 - 'expires_after.seconds'`);
  if (value > 2_592_000)
    throw badRequest(`${seconds} is greater than the maximum of 2592000 - 'expires_after.seconds'`);
  return value;
}

/** Files of purpose `batch` live 30 days unless something else is asked. */
export function defaultExpirySeconds(purpose: string): number | null {
  return purpose === 'batch' ? 30 * DAY_SECONDS : null;
}

export function checkFilename(purpose: string, filename: string): void {
  if (purpose === 'fine-tune' && !filename.toLowerCase().endsWith('.jsonl')) {
    throw badRequest('Invalid file format for Fine-Tuning API. Must be .jsonl');
  }
}

/** OpenAI's File object. */
export function fileObject(file: FileRecord, status: 'uploaded' | 'processed'): unknown {
  return {
    object: 'file',
    id: file.id,
    purpose: file.purpose,
    filename: file.filename,
    bytes: file.sizeBytes,
    created_at: Math.floor(file.createdMs / 1000),
    ...(file.expiresAtSeconds === null ? {} : { expires_at: file.expiresAtSeconds }),
    status,
    status_details: null,
  };
}

export interface FileRoutes {
  view: (file: FileRecord) => unknown;
}

/** `/files`: create, list, retrieve, download, delete. */
export function addFileRoutes(
  router: Router,
  handle: OperationHandler,
  context: EmulatorContext,
  files: OpenAiFiles,
): FileRoutes {
  const { clock, content } = context;
  const settings = context.settingsOf('openai');
  const view = (file: FileRecord) =>
    fileObject(file, settings.option('file_status', z.enum(['uploaded', 'processed']), 'processed'));

  async function createFile(request: Request): Promise<Reply> {
    const caller = authenticate(request, settings);
    if (settings.createForbidden()) throw refuse(403, 'You are not allowed to create files in this organization.');
    const id = `file-${freshId(22)}`;
    const maxFileBytes = settings.limit('file_bytes', 512 * MEBIBYTE);
    const form = await readMultipart(request, content, {
      fileField: 'file',
      key: files.contentKey(id),
      maxFileBytes,
    }).catch((error: unknown) => {
      throw formRefusal(error, request);
    });
    try {
      const unexpected = [...form.fields.keys(), ...form.unexpectedFiles].find((name) => !PARTS.includes(name));
      if (unexpected !== undefined) {
        throw badRequest(`Additional properties are not allowed (${pythonText(unexpected)} was unexpected)`);
      }
      const { file, fields } = form;
      if (file === undefined) throw badRequest("'file' is a required property");
      const purpose = fields.get('purpose');
      if (purpose === undefined) throw badRequest("'purpose' is a required property");
      if (!UPLOAD_PURPOSES.includes(purpose)) {
        throw badRequest(`${pythonText(purpose)} is not one of ${pythonText(UPLOAD_PURPOSES)} - 'purpose'`);
      }
      checkFilename(purpose, file.filename);
      if (file.truncated) throw refuse(413, `File exceeds the maximum size of ${String(maxFileBytes)} bytes.`);
      const seconds =
        expirySeconds(fields.get('expires_after[anchor]'), fields.get('expires_after[seconds]')) ??
        defaultExpirySeconds(purpose);
      const record: FileRecord = {
        id,
        organizationId: caller.organizationId,
        filename: file.filename,
        purpose,
        sizeBytes: file.sizeBytes,
        createdMs: clock.nowMs(),
        expiresAtSeconds: seconds === null ? null : clock.nowSeconds() + seconds,
      };
      files.records.put(id, record);
      return { status: 200, json: view(record) };
    } catch (error) {
      await content.delete(files.contentKey(id));
      throw error;
    }
  }

  function listFiles(request: Request): Reply {
    const caller = authenticate(request, settings);
    const query = queryOf(request);
    const order = query.get('order') ?? 'desc';
    if (order !== 'asc' && order !== 'desc')
      throw badRequest(`${pythonText(order)} is not one of ['asc', 'desc'] - 'order'`);
    const purpose = query.get('purpose');
    const newestVisibleMs = clock.nowMs() - settings.listLagMs();
    const visible = files
      .list(caller.organizationId)
      .filter((file) => (purpose === null || file.purpose === purpose) && file.createdMs <= newestVisibleMs);
    if (order === 'desc') visible.reverse();
    const page = pageOf(visible, query, limitOf(query, 10_000, 10_000));
    // Answers of 2023 had no first_id and last_id.
    const ids = settings.option('omit_list_ids', z.boolean(), false)
      ? {}
      : { first_id: page.data[0]?.id ?? null, last_id: page.data.at(-1)?.id ?? null };
    return { status: 200, json: { object: 'list', data: page.data.map(view), ...ids, has_more: page.hasMore } };
  }

  async function downloadFile(request: Request): Promise<Reply> {
    const caller = authenticate(request, settings);
    const file = files.find(pathParameter(request, 'file_id'), caller.organizationId);
    if (['assistants', 'vision', 'user_data'].includes(file.purpose)) {
      throw badRequest(`Not allowed to download files of purpose: ${file.purpose}`);
    }
    const key = files.contentKey(file.id);
    return {
      status: 200,
      headers: {
        'content-type': 'application/octet-stream',
        'content-disposition': `attachment; filename="${encodeURIComponent(file.filename)}"`,
        'content-length': String(await content.sizeBytes(key)),
      },
      stream: content.read(key),
    };
  }

  async function deleteFile(request: Request): Promise<Reply> {
    const caller = authenticate(request, settings);
    const file = files.find(pathParameter(request, 'file_id'), caller.organizationId);
    await files.remove(file.id);
    return { status: 200, json: { object: 'file', deleted: true, id: file.id } };
  }

  router.post('/files', handle('createFile', createFile));
  router.get('/files', handle('listFiles', listFiles));
  router.get('/files/:file_id/content', handle('downloadFile', downloadFile));
  router.get(
    '/files/:file_id',
    handle('retrieveFile', (request) => {
      const caller = authenticate(request, settings);
      return { status: 200, json: view(files.find(pathParameter(request, 'file_id'), caller.organizationId)) };
    }),
  );
  router.delete('/files/:file_id', handle('deleteFile', deleteFile));
  return { view };
}
