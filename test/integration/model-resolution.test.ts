import { afterAll, beforeAll, expect, it } from 'vitest';
import { startOwnEmulators, type EmulatorControl } from '../support/emulator-control.js';
import { createGatewayClient, type Answer, type GatewayClient } from '../support/gateway-client.js';
import { startSystem, type RunningSystem } from '../support/running-system.js';

let system: RunningSystem;
let emulators: EmulatorControl & { close(): Promise<void> };
let client: GatewayClient;

beforeAll(async () => {
  [system, emulators] = await Promise.all([startSystem(), startOwnEmulators()]);
  client = createGatewayClient(system.addresses);
});
afterAll(async () => {
  await Promise.all([system.dispose(), emulators.close()]);
});

it('takes the only key that can tune a model, the sandbox where there is no other, and never guesses', async () => {
  const file = await client.dataset();
  const create = (model: string): Promise<Answer> =>
    client.call('POST', '/v1/fine_tuning/jobs', { json: { model, training_file: file } });
  const chosen = async (model: string): Promise<unknown> => {
    const answer = await create(model);
    expect(answer.status, answer.text).toBe(200);
    const { gateway }: { gateway: unknown } = JSON.parse(answer.text);
    return gateway;
  };
  expect(await chosen('gpt-4o-mini')).toMatchObject({ virtual_key: 'sandbox', sandbox: true });

  const one = await client.newVirtualKey(emulators);
  expect(await chosen('gpt-4o-mini')).toMatchObject({ virtual_key: one.slug, sandbox: false });
  const unknown = await create('gpt-nonsense');
  expect(unknown.status).toBe(400);
  expect(client.errorOf(unknown)).toMatchObject({ code: 'model_not_available', param: 'model' });

  const other = await client.newVirtualKey(emulators);
  const unclear = await create('gpt-4o-mini');
  expect(unclear.status).toBe(400);
  const error = client.errorOf(unclear);
  expect(error).toMatchObject({ code: 'virtual_key_required', param: 'portkey_options.x-portkey-virtual-key' });
  expect(error.message).toContain(one.slug);
  expect(error.message).toContain(other.slug);
  expect(error.message).not.toContain('sandbox');

  const preferred = await client.call('PUT', `/v1/virtual-keys/${other.slug}`, { json: { is_default: true } });
  expect(preferred.status).toBe(200);
  expect(await chosen('gpt-4o-mini')).toMatchObject({ virtual_key: other.slug });
});
