import type { Request, Router } from 'express';
import type { OperationHandler, Reply } from '../core/emulator.js';
import { authenticate } from './caller.js';
import { createJob, type JobDependencies } from './create-job.js';
import { badRequest } from './errors.js';
import { jobEvents, stepReachedAtMs } from './job-events.js';
import { statusOf, type JobRecord } from './job-record.js';
import { actOnJob, type JobAction } from './job-timeline.js';
import { checkpointObjects, jobObject } from './job-view.js';
import { limitOf, pageOf, queryOf } from './paging.js';
import { pathParameter } from './path-parameter.js';

/** The filter of a list call: pairs that must all be there, `null` for jobs without metadata, undefined for no filter. */
function metadataFilter(query: URLSearchParams): Map<string, string> | null | undefined {
  if (query.get('metadata') === 'null') return null;
  const pairs = new Map<string, string>();
  for (const [name, value] of query) {
    const key = /^metadata\[(.*)\]$/s.exec(name)?.[1];
    if (key !== undefined) pairs.set(key, value);
  }
  return pairs.size === 0 ? undefined : pairs;
}

function matches(job: JobRecord, filter: Map<string, string> | null | undefined): boolean {
  const metadata = job.body.metadata ?? {};
  if (filter === undefined) return true;
  if (filter === null) return Object.keys(metadata).length === 0;
  return [...filter].every(([key, value]) => Object.hasOwn(metadata, key) && metadata[key] === value);
}

// The wire body of a refused action is not published; see SOURCES.md.
function refusal(job: JobRecord, action: JobAction): Error {
  const status = statusOf(job);
  return badRequest(
    action === 'cancel'
      ? `Job has already completed: ${job.id} has status '${status}'.`
      : `Job ${job.id} cannot be ${action}d: it has status '${status}'.`,
  );
}

/** `/fine_tuning/jobs`: create, list, retrieve, cancel, pause, resume, events, checkpoints. */
export function addJobRoutes(router: Router, handle: OperationHandler, dependencies: JobDependencies): void {
  const { context, jobs } = dependencies;
  const { clock } = context;
  const settings = context.settingsOf('openai');
  const view = (job: JobRecord) => jobObject(job, jobs.showsResults(job) && job.resultStored);

  function jobOf(request: Request): JobRecord {
    const caller = authenticate(request, settings);
    return jobs.find(pathParameter(request, 'fine_tuning_job_id'), caller.organizationId);
  }

  function listJobs(request: Request): Reply {
    const caller = authenticate(request, settings);
    const query = queryOf(request);
    const filter = metadataFilter(query);
    const newestVisibleMs = clock.nowMs() - settings.listLagMs();
    const visible = jobs
      .list(caller.organizationId)
      .filter((job) => job.createdMs <= newestVisibleMs && matches(job, filter))
      .reverse();
    const page = pageOf(visible, query, limitOf(query, 20, 100));
    return { status: 200, json: { object: 'list', data: page.data.map(view), has_more: page.hasMore } };
  }

  function listEvents(request: Request): Reply {
    const job = jobOf(request);
    const query = queryOf(request);
    const page = pageOf(jobEvents(job, clock.nowMs()), query, limitOf(query, 20, 100));
    const data = page.data.map((event) => event.make());
    return { status: 200, json: { object: 'list', data, has_more: page.hasMore } };
  }

  function listCheckpoints(request: Request): Reply {
    const job = jobOf(request);
    const query = queryOf(request);
    const checkpoints = jobs.showsResults(job) ? checkpointObjects(job, (step) => stepReachedAtMs(job, step)) : [];
    const page = pageOf(checkpoints, query, limitOf(query, 10, 100));
    return {
      status: 200,
      json: {
        object: 'list',
        data: page.data,
        has_more: page.hasMore,
        first_id: page.data[0]?.id ?? null,
        last_id: page.data.at(-1)?.id ?? null,
      },
    };
  }

  const act =
    (action: JobAction) =>
    (request: Request): Reply => {
      const job = jobOf(request);
      if (!actOnJob(job, action, clock.nowMs())) throw refusal(job, action);
      jobs.put(job);
      return { status: 200, json: view(job) };
    };

  const one = '/fine_tuning/jobs/:fine_tuning_job_id';
  router.post(
    '/fine_tuning/jobs',
    handle('createFineTuningJob', async (request) => ({
      status: 200,
      json: view(await createJob(request, dependencies)),
    })),
  );
  router.get('/fine_tuning/jobs', handle('listPaginatedFineTuningJobs', listJobs));
  router.get(
    one,
    handle('retrieveFineTuningJob', (request) => ({ status: 200, json: view(jobOf(request)) })),
  );
  router.post(`${one}/cancel`, handle('cancelFineTuningJob', act('cancel')));
  router.post(`${one}/pause`, handle('pauseFineTuningJob', act('pause')));
  router.post(`${one}/resume`, handle('resumeFineTuningJob', act('resume')));
  router.get(`${one}/events`, handle('listFineTuningEvents', listEvents));
  router.get(`${one}/checkpoints`, handle('listFineTuningJobCheckpoints', listCheckpoints));
}
