import { readdir, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { Worker } from '@temporalio/worker';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { bundleWorkflows } from '../support/workflow-sandbox.js';

const root = fileURLToPath(new URL('histories/', import.meta.url));
const historySchema = z.looseObject({
  events: z.array(
    z.looseObject({
      eventId: z.string(),
      eventType: z.string(),
      workflowExecutionStartedEventAttributes: z
        .looseObject({ input: z.looseObject({ payloads: z.array(z.looseObject({})) }) })
        .optional(),
      activityTaskScheduledEventAttributes: z.looseObject({ activityType: z.object({ name: z.string() }) }).optional(),
    }),
  ),
});
type History = z.infer<typeof historySchema>;

const SCENARIOS = [
  'cancel-at-submit',
  'cancel-at-upload',
  'cancel-at-validate',
  'cancel-at-wait',
  'invalid-file',
  'native-cancel',
  'provider-failure',
  'success',
  'success-with-validation-file',
];

let code: string;
const recorded = new Map<string, History>();
beforeAll(async () => {
  code = await bundleWorkflows();
  for (const release of await readdir(root)) {
    for (const file of await readdir(`${root}${release}`)) {
      const text = await readFile(`${root}${release}/${file}`, 'utf8');
      recorded.set(`${release}/${file.replace('.json', '')}`, historySchema.parse(JSON.parse(text)));
    }
  }
});

async function replay(histories: Iterable<readonly [string, History]>): Promise<ReadonlyMap<string, string | null>> {
  const results = new Map<string, string | null>();
  const given = [...histories].map(([workflowId, history]) => ({ workflowId, history }));
  for await (const { workflowId, error } of Worker.runReplayHistories({ workflowBundle: { code } }, given)) {
    results.set(workflowId, error?.message ?? null);
  }
  return results;
}

function recordedAs(name: string): History {
  const history = recorded.get(name);
  if (history === undefined) throw new Error(`no history ${name}`);
  return history;
}

describe('recorded histories', () => {
  it('hold every scenario of the first release', () => {
    expect([...recorded.keys()].filter((name) => name.startsWith('0.1.0/')).sort()).toEqual(
      SCENARIOS.map((name) => `0.1.0/${name}`),
    );
  });

  it('of every release replay with the workflows as they are now', async () => {
    const results = await replay(recorded);
    expect(Object.fromEntries(results)).toEqual(Object.fromEntries([...recorded.keys()].map((name) => [name, null])));
  });

  it('end as their names say', () => {
    const endOf = (name: string) => recordedAs(`0.1.0/${name}`).events.at(-1)?.eventType;
    const ends = Object.fromEntries(SCENARIOS.map((name) => [name, endOf(name)]));
    const completed = 'EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED';
    const failed = 'EVENT_TYPE_WORKFLOW_EXECUTION_FAILED';
    expect(ends).toEqual({
      'cancel-at-submit': completed,
      'cancel-at-upload': completed,
      'cancel-at-validate': completed,
      'cancel-at-wait': completed,
      'invalid-file': failed,
      'native-cancel': 'EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED',
      'provider-failure': failed,
      success: completed,
      'success-with-validation-file': completed,
    });
  });

  it('of a full job have at most 80 events', () => {
    expect(recordedAs('0.1.0/success-with-validation-file').events.length).toBeLessThanOrEqual(80);
  });

  it('name no machine, and no place on one', () => {
    for (const history of recorded.values()) {
      // Payloads are base64; what they hold is read as well.
      const payloads = JSON.stringify(history).replaceAll(/"data":"([^"]*)"/g, (_, data: string) => atob(data));
      expect(payloads.match(/\d+@|\/home\/|\/root\/|\/tmp\/|node_modules|sk-/)?.[0]).toBeUndefined();
    }
  });
});

describe('a run of 0.1.0 by the policy never, which did not give up what was half-done', () => {
  const ofThePolicyNever = (name: string): History => {
    const history = structuredClone(recordedAs(name));
    const [started] = history.events;
    const [payload] = z
      .array(z.object({ data: z.string() }))
      .parse(started?.workflowExecutionStartedEventAttributes?.input.payloads);
    const input = z.looseObject({}).parse(JSON.parse(atob(payload?.data ?? '')));
    const data = btoa(JSON.stringify({ ...input, remoteCleanup: 'never' }));
    Object.assign(started?.workflowExecutionStartedEventAttributes?.input.payloads[0] ?? {}, { data });
    const cleaning = history.events.findIndex(
      (event) => event.activityTaskScheduledEventAttributes?.activityType.name === 'deleteRemote',
    );
    const end = history.events.at(-1);
    const before = history.events.slice(0, cleaning);
    const taskCompleted = before.findLast(({ eventType }) => eventType === 'EVENT_TYPE_WORKFLOW_TASK_COMPLETED');
    for (const attributes of Object.values(end ?? {})) {
      if (typeof attributes === 'object') {
        Object.assign(attributes ?? {}, { workflowTaskCompletedEventId: taskCompleted?.eventId });
      }
    }
    return {
      ...history,
      events: [...before, { ...end, eventType: end?.eventType ?? '', eventId: String(cleaning + 1) }],
    };
  };

  it.each(['0.1.0/cancel-at-upload', '0.1.0/invalid-file'])('replays: %s', async (name) => {
    const history = ofThePolicyNever(name);
    expect(history.events.length).toBeLessThan(recordedAs(name).events.length);
    expect((await replay([[name, history]])).get(name)).toBeNull();
  });
});

describe('a workflow that does something else than a recorded one did', () => {
  it('is told: another activity', async () => {
    const history = structuredClone(recordedAs('0.1.0/success'));
    const scheduled = history.events.find(
      (event) => event.activityTaskScheduledEventAttributes?.activityType.name === 'submitJob',
    );
    Object.assign(scheduled?.activityTaskScheduledEventAttributes?.activityType ?? {}, { name: 'collectResults' });
    expect((await replay([['changed', history]])).get('changed')).toMatch(/TMPRL1100/);
  });

  it('is told: another order of stages', async () => {
    const original = code;
    const upload = 'const uploaded = await run.interruption.cancellable(';
    const submitted = 'place.job = await';
    expect(code).toContain(submitted);
    expect(code).toContain(upload);
    try {
      code = code.replace(submitted, 'await run.activities.deleteRemote({}); place.job = await');
      expect((await replay([['changed', recordedAs('0.1.0/success')]])).get('changed')).toMatch(/TMPRL1100/);
    } finally {
      code = original;
    }
  });
});

it('one copy of protobufjs 8 serves all of Temporal’s packages: JSON histories cannot be read with two', () => {
  const require = createRequire(import.meta.url);
  const versionOf = z.object({ version: z.string() });
  const copies = ['common', 'proto', 'worker', 'client', 'activity', 'workflow', 'testing', 'core-bridge'].map(
    (name) => {
      const fromPackage = createRequire(require.resolve(`@temporalio/${name}/package.json`));
      return fromPackage.resolve('protobufjs/package.json');
    },
  );
  expect(new Set(copies).size).toBe(1);
  expect(versionOf.parse(require(copies[0] ?? '')).version).toMatch(/^8\./);
});
