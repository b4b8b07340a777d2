import { randomBytes } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { GatewayError } from '../domain/errors.js';
import type { JsonObject, JsonValue } from '../domain/json.js';
import { parseInput } from '../domain/parse-input.js';
import { PROVIDER_ALIASES, type ProviderName } from '../domain/provider-name.js';
import type { ProviderDefinition, Providers } from '../domain/provider-port.js';
import { newId } from '../store/new-id.js';
import type { VirtualKeyRepository, VirtualKeyRow } from '../store/virtual-keys.js';
import type { SealContext, Vault } from './vault.js';

export type { VirtualKeyRow } from '../store/virtual-keys.js';

export interface VirtualKeyInput {
  readonly name: string;
  /** A provider's name or Portkey's spelling of it. */
  readonly provider: string;
  readonly note?: string | null;
  /** Made from the name where absent. */
  readonly slug?: string;
  readonly sandbox?: boolean;
  readonly isDefault?: boolean;
  /** Credentials and default options, as the caller spells them; "" and null count as absent. */
  readonly settings: JsonObject;
}

export interface VirtualKeyPatch {
  readonly name?: string;
  readonly note?: string | null;
  readonly isDefault?: boolean;
  /** Laid over the settings there are; null removes one. */
  readonly settings?: JsonObject;
}

/** What a virtual key stands for, opened. The settings hold credentials: never to be stored, logged or answered. */
export interface ResolvedVirtualKey {
  readonly row: VirtualKeyRow;
  readonly settings: JsonObject;
}

export interface VirtualKeys {
  /** Errors: `invalid_request`, `unknown_parameter` with `param`; `conflict` where a given slug is taken. */
  create(workspaceId: string, input: VirtualKeyInput): Promise<VirtualKeyRow>;
  list(workspaceId: string): Promise<readonly VirtualKeyRow[]>;
  /** `virtual_key_not_found`. */
  get(workspaceId: string, slug: string): Promise<VirtualKeyRow>;
  /** New credentials hold at once, for open jobs too: they refer to the key by its id. */
  update(workspaceId: string, slug: string, patch: VirtualKeyPatch): Promise<VirtualKeyRow>;
  /**
   * `virtual_key_not_found`; `virtual_key_in_use` while open jobs use it, unless `force`: then it is gone for every caller and
   * every new job, and kept for those jobs until they have ended and what they uploaded is cleaned up.
   */
  delete(workspaceId: string, slug: string, options: { readonly force: boolean }): Promise<void>;
  /** Removes deleted keys that no job needs any more; answers how many. Called from time to time. */
  removeDeleted(): Promise<number>;
  /** The key named in a request, with or without `@`: `unknown_virtual_key` where there is none. */
  resolve(workspaceId: string, slug: string): Promise<ResolvedVirtualKey>;
  /** The key of a job, one that was deleted under it too; `virtual_key_not_found` where there is none. */
  resolveById(id: string): Promise<ResolvedVirtualKey>;
  /** Makes the key with this slug, or gives the one there the settings: an embedded start points its sandbox anew each time. */
  ensure(workspaceId: string, input: VirtualKeyInput & { readonly slug: string }): Promise<VirtualKeyRow>;
}

export interface VirtualKeysDependencies {
  readonly repository: VirtualKeyRepository;
  readonly vault: Vault;
  readonly providers: Providers;
}

const SLUG = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const GENERATED_SLUG_LENGTH = 48;
const GENERATION_ATTEMPTS = 5;

/**
 * Virtual keys. All settings are sealed, as the provider's schema reads them; beside them the row holds, in the open, those that
 * are no credential.
 */
export function createVirtualKeys({ repository, vault, providers }: VirtualKeysDependencies): VirtualKeys {
  const insert = (workspaceId: string, slug: string, input: VirtualKeyInput): Promise<VirtualKeyRow | null> => {
    const definition = definitionOf(providers, input.provider);
    const id = newId('vk_');
    return repository.insert({
      id,
      workspaceId,
      slug,
      name: input.name,
      provider: definition.name,
      note: input.note ?? null,
      sandbox: input.sandbox ?? false,
      ...sealSettings(definition, withoutAbsent(input.settings), { rowId: id, workspaceId }),
    });
  };
  const sealSettings = (
    definition: ProviderDefinition,
    given: JsonObject,
    owner: Omit<SealContext, 'kind'>,
  ): { settings: JsonObject; sealedSettings: Buffer } => {
    const parsed = parseInput(definition.settings, given);
    const open = Object.entries(parsed).filter(([name]) => !definition.secretSettings.includes(name));
    return { settings: Object.fromEntries(open), sealedSettings: vault.seal(parsed, { kind: SETTINGS, ...owner }) };
  };
  const openSettings = (row: VirtualKeyRow): JsonObject => {
    const value = vault.open(row.sealedSettings, { kind: SETTINGS, rowId: row.id, workspaceId: row.workspaceId });
    if (!isObject(value))
      throw new GatewayError('credentials_unreadable', `The settings of ${row.id} are not an object.`);
    return value;
  };
  const resolve = (row: VirtualKeyRow): ResolvedVirtualKey => ({
    row,
    settings: parseInput(providers.get(row.provider).settings, openSettings(row)),
  });
  const makeDefault = async (row: VirtualKeyRow, isDefault: boolean | undefined): Promise<VirtualKeyRow> =>
    isDefault === true ? ((await repository.update(row.workspaceId, row.slug, () => ({ isDefault }))) ?? row) : row;

  const service: VirtualKeys = {
    async create(workspaceId, input) {
      if (input.slug !== undefined) {
        if (!SLUG.test(input.slug)) {
          throw new GatewayError(
            'invalid_request',
            "Invalid value for 'slug': 1 to 64 characters of a-z, 0-9, '-' and '_', the first one a letter or digit.",
            {
              param: 'slug',
            },
          );
        }
        const row = await insert(workspaceId, input.slug, input);
        if (row === null) throw slugTaken(input.slug);
        return makeDefault(row, input.isDefault);
      }
      const base = slugFromName(input.name);
      for (let attempt = 0; attempt < GENERATION_ATTEMPTS; attempt += 1) {
        const row = await insert(
          workspaceId,
          attempt === 0 ? base : `${base}-${randomBytes(3).toString('hex')}`,
          input,
        );
        if (row !== null) return makeDefault(row, input.isDefault);
      }
      throw slugTaken(base);
    },
    list: (workspaceId) => repository.list(workspaceId),
    async get(workspaceId, slug) {
      return (await repository.get(workspaceId, slug)) ?? notFound(slug);
    },
    async update(workspaceId, slug, patch) {
      const { settings: given, ...columns } = patch;
      const row = await repository.update(workspaceId, slug, (current) => {
        if (given === undefined || Object.keys(given).length === 0) return columns;
        const definition = providers.get(current.provider);
        const merged = mergeSettings(definition, openSettings(current), given);
        return { ...columns, ...sealSettings(definition, merged, { rowId: current.id, workspaceId }) };
      });
      return row ?? notFound(slug);
    },
    async delete(workspaceId, slug, options) {
      if (!(await repository.delete(workspaceId, slug, options))) notFound(slug);
    },
    removeDeleted: () => repository.removeDeleted(),
    async resolve(workspaceId, slug) {
      const name = slug.replace(/^@/, '');
      const row = SLUG.test(name) ? await repository.get(workspaceId, name) : null;
      if (row === null)
        throw new GatewayError('unknown_virtual_key', 'No virtual key of this workspace has the slug that was given.');
      return resolve(row);
    },
    async resolveById(id) {
      return resolve((await repository.getById(id)) ?? notFound(id));
    },
    async ensure(workspaceId, input) {
      const inserted = await insert(workspaceId, input.slug, input);
      if (inserted !== null) return makeDefault(inserted, input.isDefault);
      const definition = definitionOf(providers, input.provider);
      const row = await repository.update(workspaceId, input.slug, (current) => {
        if (current.provider !== definition.name) throw slugTaken(input.slug);
        return sealSettings(definition, withoutAbsent(input.settings), { rowId: current.id, workspaceId });
      });
      return row ?? notFound(input.slug);
    },
  };
  return service;
}

const SETTINGS = 'virtual-key';

function definitionOf(providers: Providers, provider: string): ProviderDefinition {
  const wanted = PROVIDER_ALIASES[provider] ?? provider;
  const name = providers.names.find((candidate: ProviderName) => candidate === wanted);
  if (name === undefined) {
    throw new GatewayError(
      'invalid_request',
      `Invalid value for 'provider': expected one of ${providers.names.join(', ')}.`,
      {
        param: 'provider',
      },
    );
  }
  return providers.get(name);
}

function slugFromName(name: string): string {
  const slug = name
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, GENERATED_SLUG_LENGTH)
    .replace(/^-+|-+$/g, '');
  return slug === '' ? `key-${randomBytes(3).toString('hex')}` : slug;
}

/**
 * A patch over the stored settings. Both may spell a setting differently (`key`, `apiKey`): a name stands for a stored one when
 * the schema, given the stored value under that name instead, reads the same as before.
 */
function mergeSettings(definition: ProviderDefinition, stored: JsonObject, patch: JsonObject): JsonObject {
  const kept = new Map(Object.entries(stored));
  for (const name of Object.keys(patch)) {
    kept.delete(name);
    for (const [storedName, value] of Object.entries(stored)) {
      const others = Object.entries(stored).filter(([other]) => other !== storedName);
      const probe = definition.settings.safeParse({ ...Object.fromEntries(others), [name]: value });
      if (probe.success && isDeepStrictEqual(probe.data, stored)) kept.delete(storedName);
    }
  }
  return { ...Object.fromEntries(kept), ...withoutAbsent(patch) };
}

/** Typed clients send "" and null for what they leave out. */
function withoutAbsent(settings: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== null && value !== ''));
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function slugTaken(slug: string): GatewayError {
  return new GatewayError('conflict', `A virtual key with the slug '${slug}' exists already.`, { param: 'slug' });
}

function notFound(slug: string): never {
  throw new GatewayError('virtual_key_not_found', `No such virtual key: ${slug}`, { param: 'slug' });
}
