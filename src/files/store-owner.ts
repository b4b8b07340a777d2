import { randomBytes } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayError } from '../domain/errors.js';
import type { ContentRows } from '../store/content-rows.js';
import type { InstallationRepository } from '../store/installation.js';
import type { FileStore } from './file-store.js';

/** The content under which a store says whose it is. No file and no part has such an id. */
export const STORE_OWNER_ID = 'store-owner';

/**
 * Whose the store is. Only `ours` may be swept: by another database's rows everything in it would be without a row.
 * `foreign`: the mark is another installation's. `unclaimed`: the store has no mark and contents of which this database
 * knows none.
 */
export type StoreOwnership = 'ours' | 'foreign' | 'unclaimed';

export interface StoreOwnerDependencies {
  readonly store: FileStore;
  readonly rows: ContentRows;
  readonly installation: InstallationRepository;
  /** How long another installation that takes the store at the same moment may need to write its mark. */
  readonly settleMs?: number;
}

const MAX_MARK_BYTES = 200;
const SETTLE_MS = 2_000;
const BATCH = 500;

/**
 * Looks whose the store is. One without a mark is taken where it is empty or has a content that this database knows: so a
 * new or a restored database does not take a store that is full of another one's files.
 */
export async function findStoreOwner(
  { store, rows, installation, settleMs = SETTLE_MS }: StoreOwnerDependencies,
  signal?: AbortSignal,
): Promise<StoreOwnership> {
  const mark = await readMark(store);
  if (mark !== null) return mark === (await installation.find('file_store_id')) ? 'ours' : 'foreign';
  if (!(await isKnown(store, rows, signal))) return 'unclaimed';
  const id = await installation.claim('file_store_id', randomBytes(16).toString('hex'));
  await store.put(STORE_OWNER_ID, oneChunk(id), {
    maxBytes: MAX_MARK_BYTES,
    ...(signal === undefined ? {} : { signal }),
  });
  await sleep(settleMs, undefined, signal === undefined ? {} : { signal });
  return (await readMark(store)) === id ? 'ours' : 'foreign';
}

async function readMark(store: FileStore): Promise<string | null> {
  try {
    // Not bounded by a range: a store may refuse one that begins beyond an empty content.
    return (await text(await store.open(STORE_OWNER_ID))).trim();
  } catch (error) {
    if (error instanceof GatewayError && error.code === 'file_content_missing') return null;
    throw error;
  }
}

/** True for an empty store. */
async function isKnown(store: FileStore, rows: ContentRows, signal: AbortSignal | undefined): Promise<boolean> {
  let isEmpty = true;
  let batch: string[] = [];
  const batchIsKnown = async (): Promise<boolean> => (await rows.withoutRow(batch)).length < batch.length;
  for await (const { id } of store.list(signal)) {
    if (id === STORE_OWNER_ID) continue;
    isEmpty = false;
    batch.push(id);
    if (batch.length < BATCH) continue;
    if (await batchIsKnown()) return true;
    batch = [];
  }
  return isEmpty || (await batchIsKnown());
}

async function* oneChunk(id: string): AsyncGenerator<Uint8Array, void, undefined> {
  yield await Promise.resolve(Buffer.from(`${id}\n`));
}
