import { createHash, createHmac } from 'node:crypto';
import type { CreateJobRequest } from './create-job.js';

/**
 * What makes two creates the same: the SHA-256, in hex, of the parsed request in canonical JSON. Option values may be
 * credentials, so they enter as HMACs under `secret`.
 */
export function requestHash(secret: Uint8Array, request: CreateJobRequest): string {
  const options = Object.entries(request.portkeyOptions).map(([name, value]): [string, string] => [
    name,
    createHmac('sha256', secret)
      .update(JSON.stringify(['portkey_option', name, value]))
      .digest('hex'),
  ]);
  const text = canonicalJson({ ...request, portkeyOptions: Object.fromEntries(options) });
  return createHash('sha256').update(text).digest('hex');
}

/** JSON with the keys of every object in order; nesting is bounded where bodies are read. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_key, member: unknown): unknown => (isObject(member) ? inOrder(member) : member));
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function inOrder(object: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)));
}
