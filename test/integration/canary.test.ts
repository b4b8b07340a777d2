import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import proto from '@temporalio/proto';
import pg from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startOwnEmulators, type EmulatorControl } from '../support/emulator-control.js';
import { createGatewayClient, type GatewayClient } from '../support/gateway-client.js';
import { startSystem, type RunningSystem } from '../support/running-system.js';

const unique = (): string => randomBytes(16).toString('hex');
const SECRETS = {
  virtualKey: `sk-canary-${unique()}`,
  override: `sk-canary-${unique()}`,
  refused: `sk-canary-${unique()}`,
  apiKey: `canary_${unique()}`,
  // Shaped like no key: only its place can give it away.
  row: `canary row ${unique()}`,
};
const SEALED_COLUMNS = ['sealed_settings', 'sealed_options'];

let system: RunningSystem;
let emulators: EmulatorControl & { close(): Promise<void> };
let client: GatewayClient;
const answers: string[] = [];

beforeAll(async () => {
  [system, emulators] = await Promise.all([
    startSystem({
      environment: { LOG_LEVEL: 'trace', TUNESMITH_API_KEY: SECRETS.apiKey, ACTIVITY_TIMEOUT_SCALE: '0.1' },
    }),
    startOwnEmulators(),
  ]);
  client = createGatewayClient(system.addresses);
});
afterAll(async () => {
  await Promise.all([system.dispose(), emulators.close()]);
});

/** Everything a text could be hidden as: itself, its base64 at each of the three alignments, hexadecimal. */
function disguises(secret: string): readonly string[] {
  const bytes = Buffer.from(secret);
  const base64 = [0, 1, 2].map((shift) => {
    const encoded = Buffer.concat([Buffer.alloc(shift), bytes]).toString('base64');
    // The first and the last characters hang on what stands beside it.
    return encoded.slice(shift === 0 ? 0 : 4, -4);
  });
  return [
    secret,
    ...base64,
    ...base64.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    bytes.toString('hex'),
  ];
}

function expectNone(where: string, text: string): void {
  for (const [name, secret] of Object.entries(SECRETS)) {
    for (const disguise of disguises(secret)) {
      const at = text.indexOf(disguise);
      if (at >= 0) throw new Error(`${name} is in ${where}: …${text.slice(Math.max(0, at - 300), at + 100)}…`);
    }
  }
}

async function live(): Promise<void> {
  await emulators.jobSeconds(2);
  const rows = Array.from({ length: 12 }, (_, index) =>
    JSON.stringify({
      messages: [
        { role: 'user', content: `${SECRETS.row} ${index}` },
        { role: 'assistant', content: SECRETS.row },
      ],
    }),
  ).join('\n');
  const good = await client.upload(rows);
  // Rows that are wrong hold it too, beside what is wrong; so does a line that is no JSON.
  const wrongRow = `{"messages": [{"role": "user", "content": "${SECRETS.row}"}, {"role": "assistent", "content": "${SECRETS.row}"}]}`;
  const bad = await client.upload(`${rows}\n${wrongRow}\n{"${SECRETS.row}\n"${SECRETS.row}" 1\n`);
  const { slug } = await client.newVirtualKey(emulators, { key: SECRETS.virtualKey });
  const other = await client.newVirtualKey(emulators);
  const refused = await client.newVirtualKey(emulators, { key: SECRETS.refused });

  const success = await client.create({ virtualKey: slug, training_file: good });
  const overridden = await client.create({
    virtualKey: other.slug,
    training_file: good,
    portkey_options: { authorization: `Bearer ${SECRETS.override}`, 'x-portkey-custom-host': emulators.openAiUrl },
  });
  const failure = await client.create({ virtualKey: slug, training_file: bad });
  for (const { id } of [success, overridden, failure]) await client.whenEnded(id);
  expect(await client.job(failure.id)).toMatchObject({ status: 'failed' });

  await emulators.settings({ revoked_credentials: [SECRETS.refused] });
  const unauthorised = await client.create({ virtualKey: refused.slug, training_file: good });
  expect(await client.whenEnded(unauthorised.id)).toMatchObject({ status: 'failed' });
  for (const kind of ['malformed', 'html', 'reset'] as const) {
    await emulators.fault({ kind, operation: 'createFineTuningJob', times: 1 });
  }
  await emulators.jobSeconds(6);
  const faulty = await client.create({ virtualKey: slug, training_file: good });
  await client.whenJob(faulty.id, 'made', ({ gateway }) => gateway.provider_job_id !== null);
  await system.kill9();
  await system.start();
  expect(await client.whenEnded(faulty.id)).toMatchObject({ status: 'succeeded' });

  const jobs = '/v1/fine_tuning/jobs';
  const options = { 'x-portkey-virtual-key': slug };
  const portkeyOptions = { ...options, authorization: SECRETS.override };
  const wrong = [
    { json: { model: 'm', training_file: 'file-none', portkey_options: portkeyOptions } },
    { json: { model: 'm', training_file: good, portkey_options: { 'x-portkey-virtual-key': SECRETS.virtualKey } } },
    {
      json: {
        model: 'm',
        training_file: good,
        portkey_options: { ...portkeyOptions, authorization: [SECRETS.override] },
      },
    },
    {
      body: `{"portkey_options": {"authorization": "${SECRETS.override}" `,
      headers: { 'content-type': 'application/json' },
    },
    { json: {}, anonymous: true, headers: { authorization: `Bearer ${SECRETS.virtualKey}` } },
  ];
  for (const call of wrong) answers.push((await client.call('POST', jobs, call)).text);
  const keyBody = {
    name: 'k',
    slug: 'k',
    provider: 'openai',
    key: `${SECRETS.virtualKey}\n`,
    custom_host: `http://u:${SECRETS.virtualKey}@h`,
  };
  answers.push((await client.call('POST', '/v1/virtual-keys', { json: keyBody })).text);
  answers.push(
    (await client.call('GET', `${jobs}?after=${SECRETS.virtualKey.slice(3)}`)).text.replaceAll(
      SECRETS.virtualKey.slice(3),
      '',
    ),
  );
  for (const path of [jobs, '/v1/files', '/v1/virtual-keys', `/v1/virtual-keys/${slug}`]) {
    answers.push((await client.call('GET', path)).text);
  }
  for (const { id } of [success, overridden, failure, unauthorised, faulty]) {
    answers.push(JSON.stringify([await client.job(id), await client.events(id), await client.checkpoints(id)]));
  }
}

it('a credential and a row are found nowhere but where they belong', async () => {
  await live();
  expect((await emulators.requests()).map(({ credential }) => credential)).not.toContain(null);
  answers.forEach((text, index) => {
    expectNone(`answer ${index}`, text);
  });
  expectNone('ready.json', await readFile(join(system.home, 'ready.json'), 'utf8'));
  expectNone('the output', system.process().output());

  const logs = join(system.home, 'logs');
  const names = await readdir(logs);
  expect(names.length).toBeGreaterThan(3);
  for (const name of names) expectNone(name, await readFile(join(logs, name), 'utf8'));
  expect(await readFile(join(logs, 'tunesmith.log'), 'utf8')).toContain('"level":"debug"');

  await searchTemporal();
  await searchPostgres();
});

async function searchTemporal(): Promise<void> {
  const connection = await Connection.connect({ address: system.addresses().temporalAddress });
  try {
    const temporal = new Client({ connection });
    let runs = 0;
    for await (const { workflowId, runId } of temporal.workflow.list()) {
      const handle = temporal.workflow.getHandle(workflowId, runId);
      const history = await handle.fetchHistory();
      const description = await handle.describe();
      // Payloads are bytes: once as they are, once as text.
      const decoded = JSON.stringify([history, description.raw], (_key, value: unknown) =>
        value instanceof Uint8Array
          ? Buffer.from(value).toString('utf8')
          : typeof value === 'bigint'
            ? String(value)
            : value,
      );
      expectNone(`the history of ${workflowId}`, decoded.replaceAll('\\\\', '').replaceAll('\\"', '"'));
      expectNone(
        `the payloads of ${workflowId}`,
        JSON.stringify(proto.temporal.api.history.v1.History.create(history)),
      );
      if (workflowId.startsWith('ftjob-')) runs += 1;
    }
    expect(runs).toBe(5);
  } finally {
    await connection.close();
  }
}

async function searchPostgres(): Promise<void> {
  const database = new pg.Client({ connectionString: system.addresses().databaseUrl });
  await database.connect();
  try {
    const tables = await database.query<{ name: string }>(
      `SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public'`,
    );
    let rows = 0;
    let sealed = 0;
    for (const { name } of tables.rows) {
      const content = await database.query<Record<string, unknown>>(`SELECT * FROM "${name}"`);
      for (const row of content.rows) {
        rows += 1;
        sealed += SEALED_COLUMNS.filter((column) => row[column] != null).length;
        // Sealed bytes as well: they must not hold it as it is.
        const text = JSON.stringify(
          Object.values(row).map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : value)),
        );
        expectNone(`table ${name}`, text);
      }
    }
    expect(rows).toBeGreaterThan(50);
    expect(sealed).toBe(5);
  } finally {
    await database.end();
  }
}
