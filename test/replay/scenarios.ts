import { setTimeout as pause } from 'node:timers/promises';
import { ApplicationFailure, Context } from '@temporalio/activity';
import type { WorkflowHandle } from '@temporalio/client';
import type { FineTuningActivities } from '../../src/domain/activities.js';
import { createProviders } from '../../src/providers/registry.js';
import { chatRows } from '../support/datasets.js';
import { startOwnEmulators, type EmulatorControl } from '../support/emulator-control.js';
import { startJobSystem, type JobSystem } from '../support/job-system.js';
import { oneFileRequest } from '../support/job-workflow.js';

/** Set by a scenario: what an activity does before it does its work. */
type Gates = { -readonly [name in keyof FineTuningActivities]?: () => Promise<void> };

export interface ScenarioContext {
  readonly system: JobSystem;
  readonly emulators: EmulatorControl;
  readonly gates: Gates;
}

/** One kind of job. Answers its run once that is closed. */
export type Scenario = (context: ScenarioContext) => Promise<WorkflowHandle>;

/** Without end, until the activity is cancelled; heartbeats bring the cancellation. */
async function untilCancelled(): Promise<void> {
  const context = Context.current();
  for (;;) {
    context.heartbeat();
    await pause(100, undefined, { signal: context.cancellationSignal });
  }
}

async function ended(run: WorkflowHandle): Promise<WorkflowHandle> {
  await run.result().catch(() => undefined);
  return run;
}

/** Cancels once the named activity runs; `how` by our signal or by a cancellation of the run. */
function cancelledAt(
  stage: keyof FineTuningActivities,
  how: 'signal' | 'native' = 'signal',
  atStage: () => Promise<void> = untilCancelled,
): Scenario {
  return async ({ system, gates }) => {
    const reached = new Promise<void>((resolve) => {
      // The first attempt alone; of a wait there is another one after the cancel.
      gates[stage] = async () => {
        resolve();
        Reflect.deleteProperty(gates, stage);
        await atStage();
      };
    });
    const run = await system.startJob(oneFileRequest);
    await reached;
    if (how === 'signal') await run.signal('cancel', { reason: 'api' });
    else await run.cancel();
    return ended(run);
  };
}

const overQuota = (): Promise<void> =>
  Promise.reject(
    ApplicationFailure.create({
      type: 'provider_quota_exceeded',
      message: 'A quota at OpenAI is used up',
      nextRetryDelay: 60_000,
    }),
  );

export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  success: async ({ system }) => ended(await system.startJob(oneFileRequest)),

  'success-with-validation-file': async ({ system }) => ended(await system.startJob()),

  'provider-failure': async ({ system, emulators, gates }) => {
    let jobId = '';
    gates.awaitProviderChange = async () => {
      const { providerJobId } = await system.setup.dependencies.jobs.get(jobId);
      if (providerJobId === null) throw new Error('a wait for no job');
      delete gates.awaitProviderChange;
      await emulators.force(providerJobId, 'failed', { code: 'server_error', message: 'The job ran into an error.' });
    };
    const run = await system.startJob(oneFileRequest);
    jobId = run.workflowId;
    return ended(run);
  },

  'invalid-file': async ({ system }) => {
    const good = system.setup.contents.get('file-train') ?? '';
    system.setup.contents.set('file-train', `${good}not json\n`);
    try {
      return await ended(await system.startJob(oneFileRequest));
    } finally {
      system.setup.contents.set('file-train', good);
    }
  },

  'cancel-at-validate': cancelledAt('preflightDataset'),
  'cancel-at-upload': cancelledAt('uploadDataset'),
  'cancel-at-submit': cancelledAt('submitJob', 'signal', overQuota),
  'cancel-at-wait': cancelledAt('awaitProviderChange'),
  'native-cancel': cancelledAt('awaitProviderChange', 'native'),
};

/** Runs scenarios one after the other on a real Temporal server, with real activities, against the OpenAI emulator. */
export async function runScenarios(each: (name: string, run: WorkflowHandle) => Promise<void>): Promise<void> {
  const emulators = await startOwnEmulators();
  const gates: Gates = {};
  const definition = createProviders().get('openai');
  const provider = definition.connect(
    definition.settings.parse({ apiKey: 'sk-recorder-0123456789', baseUrl: emulators.openAiUrl }),
  );
  const system = await startJobSystem({
    scale: 0.05,
    activityTimeoutScale: 0.05,
    dependencies: ({ dependencies }) => ({
      openJob: async (jobId) => ({ row: await dependencies.jobs.get(jobId), definition, provider }),
    }),
    wrap: (activities) => behindGates(activities, gates),
  });
  try {
    for (const id of ['file-train', 'file-valid']) system.setup.contents.set(id, chatRows(20, id));
    for (const [name, scenario] of Object.entries(SCENARIOS)) {
      await emulators.jobSeconds(4);
      await each(name, await scenario({ system, emulators, gates }));
    }
  } finally {
    await system.stop();
    await emulators.close();
  }
}

function behindGates(activities: FineTuningActivities, gates: Gates): FineTuningActivities {
  const behind =
    <Input, Output>(name: keyof FineTuningActivities, activity: (input: Input) => Promise<Output>) =>
    async (input: Input): Promise<Output> => {
      await gates[name]?.();
      return activity(input);
    };
  return {
    ...activities,
    preflightDataset: behind('preflightDataset', activities.preflightDataset),
    uploadDataset: behind('uploadDataset', activities.uploadDataset),
    submitJob: behind('submitJob', activities.submitJob),
    awaitProviderChange: behind('awaitProviderChange', activities.awaitProviderChange),
  };
}
