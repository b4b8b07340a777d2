import type { DatasetRole, RemoteFiles } from '../../src/domain/job.js';
import { allOrNone } from '../interruption.js';
import type { JobRun } from '../job-run.js';

/** Checks both files, then puts both at the provider. Nothing is uploaded before every row was checked. */
export async function prepareFiles(run: JobRun): Promise<RemoteFiles> {
  const datasets = datasetsOf(run);
  await run.interruption.cancellable(() => allOrNone(datasets.map((dataset) => () => check(run, dataset))));
  const uploaded = await run.interruption.cancellable(() =>
    allOrNone(datasets.map((dataset) => async () => [dataset.role, await upload(run, dataset)] as const)),
  );
  return Object.fromEntries(uploaded);
}

interface Dataset {
  readonly role: DatasetRole;
  readonly fileId: string;
}

function datasetsOf(run: JobRun): readonly Dataset[] {
  const { trainingFile, validationFile } = run.input.request;
  const training: Dataset = { role: 'training', fileId: trainingFile };
  return validationFile === undefined ? [training] : [training, { role: 'validation', fileId: validationFile }];
}

async function check(run: JobRun, dataset: Dataset): Promise<void> {
  const version = run.tracker.nextVersion();
  const recorded = await run.activities.preflightDataset({ jobId: run.input.jobId, version, ...dataset });
  run.tracker.publish(version, recorded);
}

async function upload(run: JobRun, dataset: Dataset): Promise<string> {
  const version = run.tracker.nextVersion();
  const { status, phase, remoteFileId } = await run.activities.uploadDataset({
    jobId: run.input.jobId,
    version,
    ...dataset,
  });
  run.tracker.publish(version, { status, phase });
  return remoteFileId;
}
