import { derivedId } from '../core/random.js';
import { reachedAtMs, trainedMs, trainingMs, type JobRecord } from './job-record.js';
import { tunedModel } from './job-view.js';
import { epochEnds, stepMetrics, trainingPlan, type StepMetrics, type TrainingPlan } from './training-curve.js';

export interface EventObject {
  object: 'fine_tuning.job.event';
  id: string;
  created_at: number;
  level: 'info' | 'warn' | 'error';
  message: string;
  data: unknown;
  type: 'message' | 'metrics';
}

interface PlacedEvent {
  atMs: number;
  key: string;
  make(): Pick<EventObject, 'level' | 'message' | 'data' | 'type'>;
}

// The last step comes a little before the end of the training, so the end is never the same moment.
const stepTimeMs = (job: JobRecord, plan: TrainingPlan, step: number) =>
  trainingMs(job) * (step / (plan.totalSteps + 1));

/** When the job's training reached a step; null while it has not. */
export function stepReachedAtMs(job: JobRecord, step: number): number | null {
  return reachedAtMs(job, stepTimeMs(job, trainingPlan(job), step));
}

function stepMessage(metrics: StepMetrics, plan: TrainingPlan): string {
  const parts = [`training loss=${metrics.train_loss.toFixed(2)}`];
  if (metrics.valid_loss !== undefined) parts.push(`validation loss=${metrics.valid_loss.toFixed(2)}`);
  if (metrics.full_valid_loss !== undefined) parts.push(`full validation loss=${metrics.full_valid_loss.toFixed(2)}`);
  return `Step ${String(metrics.step)}/${String(plan.totalSteps)}: ${parts.join(', ')}`;
}

function stepEvents(job: JobRecord, nowMs: number): PlacedEvent[] {
  const plan = trainingPlan(job);
  const doneMs = job.word === 'succeeded' ? Infinity : trainedMs(job, nowMs);
  const events: PlacedEvent[] = [];
  for (let step = 1; step <= plan.totalSteps && stepTimeMs(job, plan, step) <= doneMs; step += 1) {
    const atMs = reachedAtMs(job, stepTimeMs(job, plan, step));
    if (atMs === null) break;
    events.push({
      atMs,
      key: `step:${String(step)}`,
      make: () => {
        const metrics = stepMetrics(job, plan, step);
        const data = { ...metrics, total_steps: plan.totalSteps };
        return { level: 'info', message: stepMessage(metrics, plan), data, type: 'metrics' };
      },
    });
  }
  return events;
}

const message = (atMs: number, key: string, text: string): PlacedEvent => ({
  atMs,
  key,
  make: () => ({ level: 'info', message: text, data: {}, type: 'message' }),
});

/** What OpenAI posts after `finished_at`: recorded 2 s and 8 s later; less for a job of a few seconds. */
function finalEvents(job: JobRecord): PlacedEvent[] {
  if (job.word !== 'succeeded' || job.endedMs === null) return [];
  const endedMs = job.endedMs;
  const tailMs = Math.min(8000, job.lengthMs * 0.1);
  const plan = trainingPlan(job);
  const checkpoints = epochEnds(plan)
    .filter((step) => step !== plan.totalSteps)
    .map((step) =>
      message(
        endedMs + tailMs / 8,
        `checkpoint:${String(step)}`,
        `Checkpoint created at step ${String(step)} with Snapshot ID: ${tunedModel(job, step)}`,
      ),
    );
  return [
    ...checkpoints,
    message(endedMs + tailMs / 4, 'model', `New fine-tuned model created: ${tunedModel(job)}`),
    message(endedMs + tailMs, 'done', 'The job has successfully completed'),
  ];
}

/** The ids of a job's events at `nowMs`, newest first, each with what makes the object. */
export function jobEvents(job: JobRecord, nowMs: number): { id: string; make(): EventObject }[] {
  const notes = job.notes.map((note, index): PlacedEvent => ({
    atMs: note.atMs,
    key: `note:${String(index)}`,
    make: () => ({ level: note.level, message: note.message, data: note.data, type: 'message' }),
  }));
  return [...notes, ...stepEvents(job, nowMs), ...finalEvents(job)]
    .filter((event) => event.atMs <= nowMs)
    .sort((left, right) => left.atMs - right.atMs)
    .reverse()
    .map((event) => {
      const id = `ftevent-${derivedId(`${job.id}:${event.key}`, 24)}`;
      const created = Math.floor(event.atMs / 1000);
      return { id, make: () => ({ object: 'fine_tuning.job.event', id, created_at: created, ...event.make() }) };
    });
}
