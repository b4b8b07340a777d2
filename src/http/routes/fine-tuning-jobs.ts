import type { Request, RequestHandler, Response, Router } from 'express';
import { z } from 'zod';
import type { JobService } from '../../jobs/job-service.js';
import type { PageRequest } from '../../jobs/read-job.js';
import { requireCaller } from '../auth.js';
import { jsonBody } from '../json-body.js';
import { managedModeOnly, requireManagedMode } from '../mode.js';
import { parseQuery } from '../query.js';
import { createRouter } from '../route-table.js';
import { jobCheckpointsQuery, jobEventsQuery, jobListQuery } from '../schemas/job-list-query.js';
import { parseCreateJob } from '../schemas/job-request.js';
import { checkpointList, eventList, jobList, jobObject } from '../schemas/job-response.js';
import { parseInput } from '../../domain/parse-input.js';

export interface FineTuningJobsDependencies {
  readonly jobs: JobService;
}

const BASE = '/v1/fine_tuning/jobs';
/** Clients of OpenAI send no body with these calls, Portkey's send `{}`. */
const noParameters = z.strictObject({});

/** OpenAI's jobs routes, in managed mode. */
export function createFineTuningJobsRouter({ jobs }: FineTuningJobsDependencies): Router {
  const act = (action: 'pause' | 'resume'): RequestHandler[] => [
    managedModeOnly,
    jsonBody({ optional: true }),
    async (request, response) => {
      parseInput(noParameters, request.body);
      const { workspaceId } = requireCaller(request);
      response.json(jobObject(await jobs.control(workspaceId, jobId(request), action)));
    },
  ];

  return createRouter({
    [BASE]: {
      POST: [
        jsonBody(),
        async (request, response) => {
          const body: unknown = request.body;
          requireManagedMode(request, body);
          const row = await jobs.create({
            caller: requireCaller(request),
            request: parseCreateJob(body),
            idempotencyKey: request.get('idempotency-key') ?? null,
            retryCount: retryCount(request),
            stillWanted: () => !hasGone(response),
          });
          // Nobody listens any more, and nothing was made.
          if (row === null) response.destroy();
          else response.json(jobObject(row));
        },
      ],
      GET: [
        managedModeOnly,
        async (request, response) => {
          const { workspaceId } = requireCaller(request);
          const query = parseQuery(request, jobListQuery, { deepObjects: ['metadata'] });
          response.json(jobList(await jobs.read.list(workspaceId, { ...page(query), metadata: query.metadata })));
        },
      ],
    },
    [`${BASE}/:id`]: {
      GET: [
        managedModeOnly,
        async (request, response) => {
          const { workspaceId } = requireCaller(request);
          response.json(jobObject(await jobs.read.get(workspaceId, jobId(request))));
        },
      ],
    },
    [`${BASE}/:id/cancel`]: {
      POST: [
        managedModeOnly,
        jsonBody({ optional: true }),
        async (request, response) => {
          parseInput(noParameters, request.body);
          const { workspaceId } = requireCaller(request);
          response.json(jobObject(await jobs.cancel(workspaceId, jobId(request))));
        },
      ],
    },
    [`${BASE}/:id/pause`]: { POST: act('pause') },
    [`${BASE}/:id/resume`]: { POST: act('resume') },
    [`${BASE}/:id/events`]: {
      GET: [
        managedModeOnly,
        async (request, response) => {
          const { workspaceId } = requireCaller(request);
          const query = parseQuery(request, jobEventsQuery);
          response.json(eventList(await jobs.read.events(workspaceId, jobId(request), page(query))));
        },
      ],
    },
    [`${BASE}/:id/checkpoints`]: {
      GET: [
        managedModeOnly,
        async (request, response) => {
          const { workspaceId } = requireCaller(request);
          const query = parseQuery(request, jobCheckpointsQuery);
          response.json(checkpointList(await jobs.read.checkpoints(workspaceId, jobId(request), page(query))));
        },
      ],
    },
  });
}

function jobId(request: Request): string {
  const id = request.params['id'];
  return typeof id === 'string' ? id : '';
}

function page(query: { readonly after: string | undefined; readonly limit: number }): PageRequest {
  return { after: query.after ?? null, limit: query.limit };
}

/** What OpenAI's libraries say about their own retries; anything else counts as a first attempt. */
function retryCount(request: Request): number {
  const value = request.get('x-stainless-retry-count') ?? '';
  return /^\d{1,6}$/.test(value) ? Number(value) : 0;
}

/** Closed before an answer was written: the client hung up. */
function hasGone(response: Response): boolean {
  return response.closed || response.destroyed || response.socket?.destroyed === true;
}
