import { Readable } from 'node:stream';
import { z } from 'zod';
import type { EmulatedJob, EmulatorContext, ForcedState } from '../core/emulator.js';
import { noSuchJob } from './errors.js';
import type { OpenAiFiles } from './file-records.js';
import { jobRecord, statusOf, type JobRecord } from './job-record.js';
import { forceJobState, settleJobs } from './job-timeline.js';
import { resultFileId } from './job-view.js';
import { stepMetricsCsv } from './training-curve.js';

export interface OpenAiJobs {
  put(job: JobRecord): void;
  nextSequence(): number;
  /** The job if it exists for this organisation; throws OpenAI's 404. */
  find(id: string, organizationId: string): JobRecord;
  /** Oldest first. */
  list(organizationId: string): JobRecord[];
  /** Brings jobs up to the clock; call before reading. */
  settle(): void;
  /** Waits for result files that are being written. */
  resultsWritten(): Promise<void>;
  showsResults(job: JobRecord): boolean;
  all(): EmulatedJob[];
  force(id: string, forced: ForcedState): EmulatedJob | null;
  reset(): void;
}

/** What this vendor keeps of jobs, and the one place that moves them on. */
export function createOpenAiJobs(context: EmulatorContext, files: OpenAiFiles): OpenAiJobs {
  const { store, clock, content } = context;
  const settings = context.settingsOf('openai');
  const records = store.collection('openai.jobs', jobRecord);
  const open = new Map(
    records
      .values()
      .filter((job) => job.stage !== 'ended' || (job.word === 'succeeded' && !job.resultStored))
      .map((job) => [job.id, job]),
  );
  let settledMs = 0;
  let writes: Promise<unknown> = Promise.resolve();

  const showsResults = (job: JobRecord) =>
    job.endedMs !== null && job.endedMs + settings.resultLagMs() <= clock.nowMs();
  const put = (job: JobRecord) => {
    records.put(job.id, job);
    if (job.stage === 'ended' && (job.word !== 'succeeded' || job.resultStored)) open.delete(job.id);
    else open.set(job.id, job);
  };

  /** Adds the result file of a job that has succeeded to the organisation's files. */
  function storeResult(job: JobRecord): void {
    const id = resultFileId(job);
    const csv = Buffer.from([...stepMetricsCsv(job)].join(''));
    // Since 2024 the content endpoint answers the CSV in base64.
    const bytes = settings.option('result_files_base64', z.boolean(), true) ? Buffer.from(csv.toString('base64')) : csv;
    const write = async () => {
      await content.write(files.contentKey(id), Readable.from([bytes]));
      // Everything may have been reset meanwhile.
      if (records.get(job.id) === undefined) {
        await content.delete(files.contentKey(id));
        return;
      }
      files.records.put(id, {
        id,
        organizationId: job.organizationId,
        filename: 'step_metrics.csv',
        purpose: 'fine-tune-results',
        sizeBytes: bytes.length,
        createdMs: clock.nowMs(),
        expiresAtSeconds: null,
      });
      job.resultStored = true;
      put(job);
    };
    open.delete(job.id);
    // A failed write (a full disk) is tried again at the next call.
    writes = Promise.all([writes, write().catch(() => open.set(job.id, job))]);
  }

  function settle(): void {
    const nowMs = clock.nowMs();
    const byOrganization = new Map<string, JobRecord[]>();
    for (const job of open.values()) {
      const jobs = byOrganization.get(job.organizationId) ?? [];
      jobs.push(job);
      byOrganization.set(job.organizationId, jobs);
    }
    for (const jobs of byOrganization.values()) {
      for (const job of settleJobs(jobs, settings.runningQuota(), nowMs, settledMs)) put(job);
      for (const job of jobs) {
        if (job.word === 'succeeded' && !job.resultStored && showsResults(job)) storeResult(job);
      }
    }
    settledMs = nowMs;
  }

  const view = (job: JobRecord): EmulatedJob => ({
    provider: 'openai',
    id: job.id,
    state: statusOf(job),
    created_with: job.createdWith,
    created_at: Math.floor(job.createdMs / 1000),
    credential: job.credential,
  });

  return {
    put,
    nextSequence: () => records.size() + 1,
    find: (id, organizationId) => {
      const job = records.get(id);
      if (job?.organizationId !== organizationId) throw noSuchJob(id);
      return job;
    },
    list: (organizationId) => records.values().filter((job) => job.organizationId === organizationId),
    settle,
    resultsWritten: async () => {
      await writes;
    },
    showsResults,
    all: () => records.values().map(view),
    force: (id, forced) => {
      const job = records.get(id);
      if (job === undefined) return null;
      forceJobState(job, forced, clock.nowMs());
      put(job);
      return view(job);
    },
    reset: () => {
      records.clear();
      open.clear();
      settledMs = 0;
    },
  };
}
