import type { JsonObject } from '../../domain/json.js';
import type { VirtualKeyRow } from '../../vault/virtual-keys.js';

/** Portkey's `virtual-key`, with what is ours (`id`, `provider`, `sandbox`, `is_default`). Credentials are never part of it. */
export interface VirtualKeyObject {
  readonly object: 'virtual-key';
  readonly id: string;
  readonly slug: string;
  readonly name: string;
  readonly provider: string;
  readonly ai_provider_name: string;
  readonly note: string | null;
  readonly status: 'active';
  readonly sandbox: boolean;
  readonly is_default: boolean;
  readonly model_config: JsonObject;
  readonly usage_limits: null;
  readonly rate_limits: null;
  /** ISO 8601, as Portkey has it. */
  readonly created_at: string;
  readonly last_updated_at: string;
}

/** A row as it is shown. */
export function virtualKeyObject(row: VirtualKeyRow): VirtualKeyObject {
  return {
    object: 'virtual-key',
    id: row.id,
    slug: row.slug,
    name: row.name,
    provider: row.provider,
    ai_provider_name: row.provider,
    note: row.note,
    status: 'active',
    sandbox: row.sandbox,
    is_default: row.isDefault,
    model_config: row.settings,
    usage_limits: null,
    rate_limits: null,
    created_at: row.createdAt.toISOString(),
    last_updated_at: row.updatedAt.toISOString(),
  };
}
