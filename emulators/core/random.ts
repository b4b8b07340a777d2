import { createHash, randomBytes } from 'node:crypto';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

function toBase62(bytes: Uint8Array, length: number): string {
  let text = '';
  for (let index = 0; index < length; index += 1) text += BASE62.charAt((bytes[index % bytes.length] ?? 0) % 62);
  return text;
}

/** A fresh identifier of base-62 characters (at most 64). */
export function freshId(length: number): string {
  return toBase62(randomBytes(64), length);
}

/** The same identifier for the same seed text: what is derived from a job keeps its id over restarts (at most 64 characters). */
export function derivedId(seed: string, length: number): string {
  return toBase62(createHash('sha512').update(seed).digest(), length);
}

/** One step of mulberry32: a number in [0, 1) and the next state. */
export function nextRandom(state: number): { value: number; state: number } {
  const next = (state + 0x6d2b79f5) | 0;
  let mixed = Math.imul(next ^ (next >>> 15), next | 1);
  mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
  return { value: ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296, state: next };
}

/** Deterministic noise in [-1, 1) for step `index` of the series `seed`. */
export function noise(seed: number, index: number): number {
  return nextRandom(Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35)).value * 2 - 1;
}
