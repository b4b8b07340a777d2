import { GatewayError } from '../../src/domain/errors.js';
import type { JsonValue } from '../../src/domain/json.js';
import type { UploadInput } from '../../src/domain/provider-port.js';

export const CONTRACT_JOB_ID = 'ftjob-contractcontractcontract00';
const encoder = new TextEncoder();

/** Rows of a small legal dataset. */
export function datasetBytes(rows = 12): Uint8Array {
  const row = (index: number): string =>
    JSON.stringify({
      messages: [
        { role: 'user', content: `question ${index}` },
        { role: 'assistant', content: `answer é ${index}` },
      ],
    });
  return encoder.encode(`${Array.from({ length: rows }, (_, index) => row(index)).join('\n')}\n`);
}

/** Bytes as a stream in small pieces. */
export async function* inPieces(bytes: Uint8Array, size = 100): AsyncIterable<Uint8Array> {
  for (let start = 0; start < bytes.length; start += size) {
    await Promise.resolve();
    yield bytes.subarray(start, start + size);
  }
}

/** An upload of these bytes, with nothing to go on with and nothing saved. */
export function uploadInput(bytes: Uint8Array, more: Partial<UploadInput> = {}): UploadInput {
  return {
    jobId: CONTRACT_JOB_ID,
    role: 'training',
    content: inPieces(bytes),
    sizeBytes: bytes.length,
    since: new Date().toISOString(),
    resumeFrom: undefined,
    saveProgress: () => Promise.resolve(),
    heartbeat: () => undefined,
    ...more,
  };
}

/** What an upload saves, kept from one attempt to the next as the row keeps it: as JSON. */
export interface SavedProgress {
  readonly every: JsonValue[];
  last(): JsonValue | undefined;
  readonly saveProgress: UploadInput['saveProgress'];
}

export function createSavedProgress(): SavedProgress {
  const every: JsonValue[] = [];
  return {
    every,
    last: () => every.at(-1) ?? undefined,
    saveProgress(progress) {
      every.push(structuredClone(progress));
      return Promise.resolve();
    },
  };
}

/** The error that a promise is rejected with; fails where it is none of the table. */
export async function gatewayErrorOf(promise: Promise<unknown>): Promise<GatewayError> {
  const error: unknown = await promise.then(
    (value) => new Error(`expected a GatewayError, got ${JSON.stringify(value)}`),
    (reason: unknown) => reason,
  );
  if (error instanceof GatewayError) return error;
  throw error;
}
