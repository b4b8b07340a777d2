import express from 'express';
import { z } from 'zod';
import type { EmulatorContext, Reply, VendorEmulator } from '../core/emulator.js';
import { derivedId, freshId } from '../core/random.js';
import { authenticate, bearerOf, organizationOf } from './caller.js';
import { errorBodyForStatus, errorEnvelope, refuse } from './errors.js';
import { createOpenAiFiles } from './file-records.js';
import { addFileRoutes } from './files.js';
import { createOpenAiJobs } from './job-records.js';
import { addJobRoutes } from './jobs.js';
import { tunedModel } from './job-view.js';
import { baseModels, type ModelObject } from './models.js';
import { pathParameter } from './path-parameter.js';
import { addUploadRoutes } from './uploads.js';

const OPERATIONS = [
  'createFile',
  'listFiles',
  'retrieveFile',
  'downloadFile',
  'deleteFile',
  'createUpload',
  'addUploadPart',
  'completeUpload',
  'cancelUpload',
  'createFineTuningJob',
  'listPaginatedFineTuningJobs',
  'retrieveFineTuningJob',
  'cancelFineTuningJob',
  'pauseFineTuningJob',
  'resumeFineTuningJob',
  'listFineTuningEvents',
  'listFineTuningJobCheckpoints',
  'listModels',
  'retrieveModel',
  'deleteModel',
];

/** OpenAI under `/openai/v1`. Operation names are the operation ids of OpenAI's OpenAPI file. */
export function createOpenAiEmulator(context: EmulatorContext): VendorEmulator {
  const settings = context.settingsOf('openai');
  const handle = context.handlerFor({
    provider: 'openai',
    credentialOf: bearerOf,
    errorBody: errorBodyForStatus,
    headers: (request, startedMs) => {
      const key = bearerOf(request);
      return {
        ...(key === null ? {} : { 'openai-organization': organizationOf(key) }),
        'openai-version': '2020-10-01',
        'openai-processing-ms': String(Math.max(1, Math.round(performance.now() - startedMs))),
        'x-request-id': `req_${derivedId(freshId(22), 32).toLowerCase()}`,
        'strict-transport-security': 'max-age=15724800; includeSubDomains',
      };
    },
  });
  const files = createOpenAiFiles(context);
  const jobs = createOpenAiJobs(context, files);
  const router = express.Router();
  // Whatever is asked, it sees what has happened by now, result files included.
  router.use(async (_request, _response, next) => {
    jobs.settle();
    await jobs.resultsWritten();
    next();
  });
  const fileRoutes = addFileRoutes(router, handle, context, files);
  const uploads = addUploadRoutes(router, handle, { context, files, viewFile: fileRoutes.view });
  addJobRoutes(router, handle, { context, files, jobs });

  function tunedModels(organizationId: string): { jobId: string; model: ModelObject }[] {
    return jobs
      .list(organizationId)
      .filter((job) => job.word === 'succeeded' && !job.modelDeleted)
      .map((job) => ({
        jobId: job.id,
        model: {
          id: tunedModel(job),
          object: 'model',
          created: Math.floor((job.endedMs ?? job.createdMs) / 1000),
          owned_by: organizationId,
        },
      }));
  }
  const noSuchModel = (id: string) =>
    refuse(404, `The model '${id}' does not exist`, { param: 'model', code: 'model_not_found' });

  router.get(
    '/models',
    handle('listModels', (request): Reply => {
      const caller = authenticate(request, settings);
      const data = [...baseModels(), ...tunedModels(caller.organizationId).map((tuned) => tuned.model)];
      return { status: 200, json: { object: 'list', data } };
    }),
  );
  router.get(
    '/models/:model',
    handle('retrieveModel', (request): Reply => {
      const caller = authenticate(request, settings);
      const id = pathParameter(request, 'model');
      const known = [...baseModels(), ...tunedModels(caller.organizationId).map((tuned) => tuned.model)];
      const model = known.find((candidate) => candidate.id === id);
      if (model === undefined) throw noSuchModel(id);
      return { status: 200, json: model };
    }),
  );
  router.delete(
    '/models/:model',
    handle('deleteModel', (request): Reply => {
      const caller = authenticate(request, settings);
      const id = pathParameter(request, 'model');
      const tuned = tunedModels(caller.organizationId).find((candidate) => candidate.model.id === id);
      if (tuned === undefined) throw noSuchModel(id);
      const job = jobs.find(tuned.jobId, caller.organizationId);
      job.modelDeleted = true;
      jobs.put(job);
      return { status: 200, json: { id, object: 'model', deleted: true } };
    }),
  );
  router.use(
    handle(null, (request): Reply => ({
      status: 404,
      json: errorEnvelope(
        `Invalid URL (${request.method} ${new URL(request.originalUrl, 'http://emulator').pathname.slice('/openai'.length)})`,
      ),
    })),
  );

  return {
    provider: 'openai',
    routers: { '/openai/v1': router },
    ownSettings: {
      /** Result files in base64, as OpenAI serves them since 2024 (default true). Applies to files written from now on. */
      result_files_base64: z.boolean().nullish(),
      /** What the deprecated `status` of a file says (default `processed`). */
      file_status: z.enum(['uploaded', 'processed']).nullish(),
      /** File lists without `first_id` and `last_id`, as recorded in 2023 (default false). */
      omit_list_ids: z.boolean().nullish(),
    },
    operations: OPERATIONS,
    jobs: () => jobs.all(),
    forceJob: (id, forced) => jobs.force(id, forced),
    settle: () => jobs.settle(),
    reset: () => {
      jobs.reset();
      files.records.clear();
      uploads.reset();
    },
  };
}
