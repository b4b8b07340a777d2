import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase, type TestDatabase } from '../../test/support/database.js';
import { openaiSecretSettings, openaiSettings } from '../providers/openai/settings.js';
import type { ProviderDefinition } from '../domain/provider-port.js';
import { createVirtualKeyRepository } from '../store/virtual-keys.js';
import { createWorkspaceRepository } from '../store/workspaces.js';
import { createVault } from './vault.js';
import { createVirtualKeys, type VirtualKeys } from './virtual-keys.js';

const WORKSPACE = 'ws_test';
let testDatabase: TestDatabase;
let virtualKeys: VirtualKeys;
let otherMasterKey: VirtualKeys;

beforeAll(async () => {
  testDatabase = await createTestDatabase();
  await createWorkspaceRepository(testDatabase.database).ensure({ id: WORKSPACE, name: 'test' });
  const repository = createVirtualKeyRepository(testDatabase.database);
  // @NOTE of a vendor only the settings matter here; a whole definition would connect to it.
  const openai = {
    name: 'openai',
    settings: openaiSettings,
    secretSettings: openaiSecretSettings,
  } as unknown as ProviderDefinition;
  const providers = { names: ['openai'] as const, get: () => openai };
  virtualKeys = createVirtualKeys({ repository, providers, vault: createVault(randomBytes(32)) });
  otherMasterKey = createVirtualKeys({ repository, providers, vault: createVault(randomBytes(32)) });
});
afterAll(() => testDatabase.drop());

const make = (slug: string, settings: Record<string, string>) =>
  virtualKeys.create(WORKSPACE, { name: slug, slug, provider: 'openai', settings });
const settingsOf = async (slug: string) => (await virtualKeys.resolve(WORKSPACE, slug)).settings;

test.each([
  ['apiKey', 'key'],
  ['key', 'apiKey'],
  ['key', 'api_key'],
])('credentials given as %s are rotated by %s', async (first, second) => {
  const slug = `rotate-${first}-${second}`.toLowerCase();
  await make(slug, { [first]: 'sk-old', openaiProject: 'same', organization: 'same' });
  await virtualKeys.update(WORKSPACE, slug, { settings: { [second]: 'sk-new' } });
  expect(await settingsOf(slug)).toEqual({ apiKey: 'sk-new', project: 'same', organization: 'same' });
});

test('a setting is removed under any of its names, and the others stay', async () => {
  await make('remove', { key: 'sk-old', project: 'same', organization: 'same' });
  await virtualKeys.update(WORKSPACE, 'remove', { settings: { openai_project: null } });
  expect(await settingsOf('remove')).toEqual({ apiKey: 'sk-old', organization: 'same' });
});

test('credentials cannot be removed', async () => {
  await make('needed', { key: 'sk-old' });
  const update = virtualKeys.update(WORKSPACE, 'needed', { settings: { key: null } });
  await expect(update).rejects.toMatchObject({ code: 'invalid_request', param: 'apiKey' });
  expect(await settingsOf('needed')).toEqual({ apiKey: 'sk-old' });
});

test('the row shows what is no credential, under one spelling', async () => {
  const row = await make('shown', {
    key: 'sk-hidden',
    openaiProject: 'proj',
    customHost: 'http://127.0.0.1:8788/openai/v1/',
  });
  expect(row.settings).toEqual({ project: 'proj', baseUrl: 'http://127.0.0.1:8788/openai/v1' });
});

test('another master key cannot open them', async () => {
  await make('sealed', { key: 'sk-hidden' });
  await expect(otherMasterKey.resolve(WORKSPACE, 'sealed')).rejects.toMatchObject({ code: 'credentials_unreadable' });
});
