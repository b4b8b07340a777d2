import { z } from 'zod';
import { GatewayError } from '../../domain/errors.js';
import type { JsonObject } from '../../domain/json.js';
import { parseInput } from '../../domain/parse-input.js';
import type { VirtualKeyInput, VirtualKeyPatch } from '../../vault/virtual-keys.js';

// Portkey's admin shape. @see https://github.com/Portkey-AI/openapi (`/virtual-keys`, read 2026-11-23)

const NAME_MAX = 200;
const NOTE_MAX = 2_000;

/** Parts of Portkey's shape that promise a limit or a mechanism which is not here: refused, as a budget ignored is money spent. */
const NOT_HERE = ['usage_limits', 'rate_limits', 'expires_at', 'secret_mappings', 'reset_usage'] as const;

const name = z.string().trim().min(1).max(NAME_MAX);
const note = z.string().max(NOTE_MAX).nullish();
const createFields = z.object({
  name,
  provider: z.string().min(1),
  note,
  slug: z.string().nullish(),
  is_default: z.boolean().nullish(),
});
const updateFields = z.object({ name: name.nullish(), note, is_default: z.boolean().nullish() });
const settingsObject = z.record(z.string(), z.json());

/** The body of a create. What is neither ours nor Portkey's goes to the provider's own strict schema. */
export function parseCreateVirtualKey(body: unknown, workspaceId: string): VirtualKeyInput {
  const fields = parseInput(createFields, body);
  const settings = settingsOf(body, createFields.shape, workspaceId);
  return {
    name: fields.name,
    provider: fields.provider,
    note: emptyToNull(fields.note),
    ...(fields.slug == null || fields.slug === '' ? {} : { slug: fields.slug }),
    ...(fields.is_default == null ? {} : { isDefault: fields.is_default }),
    settings,
  };
}

/** The body of an update: only what is there is changed. */
export function parseUpdateVirtualKey(body: unknown, workspaceId: string): VirtualKeyPatch {
  const fields = parseInput(updateFields, body);
  for (const fixed of ['provider', 'slug'] as const) {
    if (isGiven(body, fixed)) {
      throw new GatewayError(
        'invalid_request',
        `Invalid value for '${fixed}': it cannot be changed; make another virtual key.`,
        {
          param: fixed,
        },
      );
    }
  }
  const settings = settingsOf(body, { ...updateFields.shape, provider: true, slug: true }, workspaceId);
  return {
    ...(fields.name == null ? {} : { name: fields.name }),
    ...(fields.note === undefined ? {} : { note: emptyToNull(fields.note) }),
    ...(fields.is_default == null ? {} : { isDefault: fields.is_default }),
    settings,
  };
}

function settingsOf(body: unknown, ours: Readonly<Record<string, unknown>>, workspaceId: string): JsonObject {
  for (const field of NOT_HERE) {
    if (isGiven(body, field)) {
      throw new GatewayError('unsupported_parameter', `'${field}' is not supported by this gateway.`, { param: field });
    }
  }
  const rest = Object.entries(parseInput(settingsObject, body)).filter(
    ([key]) => !Object.hasOwn(ours, key) && !isNotHere(key),
  );
  const workspace = rest.find(([key]) => key === 'workspace_id')?.[1];
  if (workspace !== undefined && workspace !== null && workspace !== '' && workspace !== workspaceId) {
    throw new GatewayError(
      'invalid_request',
      "Invalid value for 'workspace_id': expected the workspace of the gateway key, or nothing.",
      {
        param: 'workspace_id',
      },
    );
  }
  return Object.fromEntries(rest.filter(([key]) => key !== 'workspace_id'));
}

function isNotHere(key: string): boolean {
  return NOT_HERE.some((field) => field === key);
}

function isGiven(body: unknown, field: string): boolean {
  if (typeof body !== 'object' || body === null || !Object.hasOwn(body, field)) return false;
  const value: unknown = Reflect.get(body, field);
  if (value === null || value === '' || value === undefined) return false;
  return typeof value !== 'object' || Object.keys(value).length > 0;
}

function emptyToNull(text: string | null | undefined): string | null {
  return text === undefined || text === '' ? null : text;
}
