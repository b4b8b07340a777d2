import type { Request, Router } from 'express';
import { z } from 'zod';
import type { EmulatorContext, OperationHandler, Reply } from '../core/emulator.js';
import { readMultipart } from '../core/multipart.js';
import { freshId } from '../core/random.js';
import { authenticate } from './caller.js';
import { formRefusal } from './form-refusal.js';
import { badRequest, noSuchUpload, refuse } from './errors.js';
import type { FileRecord, OpenAiFiles } from './file-records.js';
import { checkFilename, defaultExpirySeconds } from './files.js';
import { readJsonBody } from './json-body.js';
import { pathParameter } from './path-parameter.js';
import { pythonText, type BodySchema } from './schema-check.js';

const GIBIBYTE = 1024 ** 3;
const PART_BYTES = 64 * 1024 ** 2;
const LIFETIME_MS = 3_600_000;

const createSchema: BodySchema = {
  type: 'object',
  required: ['filename', 'purpose', 'bytes', 'mime_type'],
  additionalProperties: false,
  properties: {
    filename: { type: 'string', minLength: 1 },
    purpose: { type: 'string', enum: ['assistants', 'batch', 'fine-tune', 'vision'] },
    bytes: { type: 'integer', minimum: 1 },
    mime_type: { type: 'string' },
    expires_after: {
      type: 'object',
      required: ['anchor', 'seconds'],
      additionalProperties: false,
      properties: {
        anchor: { type: 'string', enum: ['created_at'] },
        seconds: { type: 'integer', minimum: 3600, maximum: 2_592_000 },
      },
    },
  },
};

const completeSchema: BodySchema = {
  type: 'object',
  required: ['part_ids'],
  additionalProperties: false,
  properties: { part_ids: { type: 'array', items: { type: 'string' } }, md5: { type: 'string', nullable: true } },
};

const createBody = z.object({
  filename: z.string(),
  purpose: z.string(),
  bytes: z.number(),
  mime_type: z.string(),
  expires_after: z.object({ seconds: z.number() }).optional(),
});
const completeBody = z.object({ part_ids: z.array(z.string()), md5: z.string().nullish() });

const uploadRecord = z.object({
  id: z.string(),
  organizationId: z.string(),
  createdMs: z.number(),
  body: createBody,
  status: z.enum(['pending', 'completed', 'cancelled']),
  parts: z.array(z.object({ id: z.string(), sizeBytes: z.number() })),
  fileId: z.string().nullable(),
});

type UploadRecord = z.infer<typeof uploadRecord>;

export interface UploadDependencies {
  context: EmulatorContext;
  files: OpenAiFiles;
  viewFile: (file: FileRecord) => unknown;
}

/** `/uploads`: create, parts, complete, cancel. An upload expires an hour after it was made. */
export function addUploadRoutes(
  router: Router,
  handle: OperationHandler,
  { context, files, viewFile }: UploadDependencies,
): { reset(): void } {
  const { clock, content, store } = context;
  const settings = context.settingsOf('openai');
  const records = store.collection('openai.uploads', uploadRecord);
  const completing = new Set<string>();

  const expiresMs = (upload: UploadRecord) => upload.createdMs + LIFETIME_MS;
  const statusOf = (upload: UploadRecord) =>
    upload.status === 'pending' && clock.nowMs() >= expiresMs(upload) ? 'expired' : upload.status;

  function view(upload: UploadRecord): unknown {
    const file = upload.fileId === null ? undefined : files.records.get(upload.fileId);
    return {
      id: upload.id,
      object: 'upload',
      bytes: upload.body.bytes,
      created_at: Math.floor(upload.createdMs / 1000),
      filename: upload.body.filename,
      purpose: upload.body.purpose,
      status: statusOf(upload),
      expires_at: Math.floor(expiresMs(upload) / 1000),
      file: file === undefined ? null : viewFile(file),
    };
  }

  function pendingUpload(request: Request): UploadRecord {
    const caller = authenticate(request, settings);
    const id = pathParameter(request, 'upload_id');
    const upload = records.get(id);
    if (upload?.organizationId !== caller.organizationId) throw noSuchUpload(id);
    const status = completing.has(id) ? 'completed' : statusOf(upload);
    if (status !== 'pending') throw badRequest(`Upload ${id} is not pending: it has status '${status}'.`);
    return upload;
  }

  const deleteParts = (upload: UploadRecord) =>
    Promise.all(upload.parts.map((part) => content.delete(files.contentKey(part.id))));

  async function createUpload(request: Request): Promise<Reply> {
    const caller = authenticate(request, settings);
    const body = createBody.parse(await readJsonBody(request, createSchema));
    checkFilename(body.purpose, body.filename);
    const maximum = settings.limit('upload_bytes', 8 * GIBIBYTE);
    if (body.bytes > maximum)
      throw badRequest(`${String(body.bytes)} is greater than the maximum of ${String(maximum)} - 'bytes'`);
    const upload: UploadRecord = {
      id: `upload_${freshId(32)}`,
      organizationId: caller.organizationId,
      createdMs: clock.nowMs(),
      body,
      status: 'pending',
      parts: [],
      fileId: null,
    };
    records.put(upload.id, upload);
    return { status: 200, json: view(upload) };
  }

  async function addUploadPart(request: Request): Promise<Reply> {
    const { id } = pendingUpload(request);
    const partId = `part_${freshId(32)}`;
    const key = files.contentKey(partId);
    const maxFileBytes = settings.limit('upload_part_bytes', PART_BYTES);
    const form = await readMultipart(request, content, { fileField: 'data', key, maxFileBytes }).catch(
      (error: unknown) => {
        throw formRefusal(error, request);
      },
    );
    try {
      const { file } = form;
      const unexpected = [...form.fields.keys(), ...form.unexpectedFiles][0];
      if (unexpected !== undefined && unexpected !== 'data') {
        throw badRequest(`Additional properties are not allowed (${pythonText(unexpected)} was unexpected)`);
      }
      if (file === undefined) throw badRequest("'data' is a required property");
      if (file.truncated) throw refuse(413, `Part exceeds the maximum size of ${String(maxFileBytes)} bytes.`);
      // Read again: other parts, or the end of the upload, may have come meanwhile.
      const upload = pendingUpload(request);
      const uploadedBytes = upload.parts.reduce((sum, part) => sum + part.sizeBytes, 0) + file.sizeBytes;
      const maximum = settings.limit('upload_bytes', 8 * GIBIBYTE);
      if (uploadedBytes > maximum) throw badRequest(`Upload exceeds the maximum size of ${String(maximum)} bytes.`);
      records.put(id, { ...upload, parts: [...upload.parts, { id: partId, sizeBytes: file.sizeBytes }] });
    } catch (error) {
      await content.delete(key);
      throw error;
    }
    return {
      status: 200,
      json: { id: partId, object: 'upload.part', created_at: clock.nowSeconds(), upload_id: id },
    };
  }

  async function assemble(upload: UploadRecord, request: Request): Promise<UploadRecord> {
    const { part_ids: partIds, md5 } = completeBody.parse(await readJsonBody(request, completeSchema));
    const parts = partIds.map((id) => {
      const part = upload.parts.find((candidate) => candidate.id === id);
      if (part === undefined) throw badRequest(`Part ${id} does not belong to upload ${upload.id}.`, 'part_ids');
      return part;
    });
    if (new Set(partIds).size !== partIds.length) throw badRequest('A part may be named only once.', 'part_ids');
    const sizeBytes = parts.reduce((sum, part) => sum + part.sizeBytes, 0);
    const { bytes, purpose, filename, expires_after: expiry } = upload.body;
    if (sizeBytes !== bytes) {
      throw badRequest(
        `The parts have ${String(sizeBytes)} bytes in total, but the upload was created with ${String(bytes)}.`,
      );
    }
    const fileId = `file-${freshId(22)}`;
    const written = await content.write(
      files.contentKey(fileId),
      content.concatenate(partIds.map((id) => files.contentKey(id))),
    );
    if (md5 && md5.toLowerCase() !== written.md5) {
      await content.delete(files.contentKey(fileId));
      throw badRequest(`The md5 checksum ${pythonText(md5)} does not match the uploaded bytes.`, 'md5');
    }
    const lifeSeconds = expiry?.seconds ?? defaultExpirySeconds(purpose);
    files.records.put(fileId, {
      id: fileId,
      organizationId: upload.organizationId,
      filename,
      purpose,
      sizeBytes,
      createdMs: clock.nowMs(),
      expiresAtSeconds: lifeSeconds === null ? null : clock.nowSeconds() + lifeSeconds,
    });
    return { ...upload, status: 'completed', fileId, parts: [] };
  }

  async function completeUpload(request: Request): Promise<Reply> {
    const upload = pendingUpload(request);
    completing.add(upload.id);
    try {
      const completed = await assemble(upload, request);
      records.put(upload.id, completed);
      await deleteParts(upload);
      return { status: 200, json: view(completed) };
    } finally {
      completing.delete(upload.id);
    }
  }

  async function cancelUpload(request: Request): Promise<Reply> {
    const upload = pendingUpload(request);
    const cancelled: UploadRecord = { ...upload, status: 'cancelled', parts: [] };
    records.put(upload.id, cancelled);
    await deleteParts(upload);
    return { status: 200, json: view(cancelled) };
  }

  router.post('/uploads', handle('createUpload', createUpload));
  router.post('/uploads/:upload_id/parts', handle('addUploadPart', addUploadPart));
  router.post('/uploads/:upload_id/complete', handle('completeUpload', completeUpload));
  router.post('/uploads/:upload_id/cancel', handle('cancelUpload', cancelUpload));
  return { reset: () => records.clear() };
}
