import { z } from 'zod';
import { credentialFingerprint, credentialHash } from './credentials.js';
import type { StateStore } from './journal.js';

/** Settings every vendor has (design: `POST /__emulator/settings`). `null` brings a setting back to its default. */
export const commonSettings = {
  running_quota: z.int().min(0).nullish(),
  queued_quota: z.int().min(0).nullish(),
  list_lag_seconds: z.number().min(0).nullish(),
  result_lag_seconds: z.number().min(0).nullish(),
  revoked_credentials: z.array(z.string().min(1)).nullish(),
  create_forbidden: z.boolean().nullish(),
  limits: z.record(z.string(), z.number().min(0)).nullish(),
};

const storedSettings = z.record(z.string(), z.unknown());

export interface VendorSettings {
  /** Merges a body that was already checked; `null` values remove. */
  merge(changes: Record<string, unknown>): void;
  read(): Record<string, unknown>;
  isRevoked(credential: string): boolean;
  runningQuota(): number | null;
  queuedQuota(): number | null;
  listLagMs(): number;
  resultLagMs(): number;
  createForbidden(): boolean;
  /** A size limit by its name in `limits`, or the vendor's documented value. */
  limit(name: string, documented: number): number;
  /** A vendor's own switch, checked by its schema. */
  option<T>(name: string, schema: z.ZodType<T>, fallback: T): T;
  clear(): void;
}

const common = z.object(commonSettings);

/** The settings of one vendor; revoked credentials are kept as hashes only. They survive a restart. */
export function createVendorSettings(store: StateStore, provider: string): VendorSettings {
  const stored = store.collection(`core.settings.${provider}`, storedSettings);
  const read = () => stored.get('settings') ?? {};
  const known = () => common.parse(read());
  return {
    merge: (changes) => {
      const merged = Object.entries({ ...read(), ...changes }).filter(
        ([, value]) => value !== null && value !== undefined,
      );
      const next: Record<string, unknown> = Object.fromEntries(merged);
      if (Array.isArray(changes['revoked_credentials'])) {
        next['revoked_credentials'] = z.array(z.string()).parse(changes['revoked_credentials']).map(credentialHash);
      }
      stored.put('settings', next);
    },
    read: () => {
      const { revoked_credentials: revoked, ...others } = known();
      return { ...read(), ...others, revoked_credentials: (revoked ?? []).map((hash) => hash.slice(0, 16)) };
    },
    isRevoked: (credential) => {
      const revoked = known().revoked_credentials ?? [];
      // A test that saw only a fingerprint in the request log may revoke by it.
      const byFingerprint = credentialHash(credentialFingerprint(credential));
      return revoked.includes(credentialHash(credential)) || revoked.includes(byFingerprint);
    },
    runningQuota: () => known().running_quota ?? null,
    queuedQuota: () => known().queued_quota ?? null,
    listLagMs: () => (known().list_lag_seconds ?? 0) * 1000,
    resultLagMs: () => (known().result_lag_seconds ?? 0) * 1000,
    createForbidden: () => known().create_forbidden ?? false,
    limit: (name, documented) => known().limits?.[name] ?? documented,
    option: (name, schema, fallback) => {
      const parsed = schema.safeParse(read()[name]);
      return parsed.success ? parsed.data : fallback;
    },
    clear: () => stored.clear(),
  };
}
