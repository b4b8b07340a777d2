import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

/** A named map of JSON values. Every change is in the journal before the call returns. Order is that of first insertion. */
export interface Collection<T> {
  get(key: string): T | undefined;
  put(key: string, value: T): void;
  delete(key: string): boolean;
  values(): T[];
  clear(): void;
  size(): number;
}

/** What the emulators hold: collections that survive `kill -9` when a directory is given, and live in memory otherwise. */
export interface StateStore {
  collection<T>(name: string, schema: z.ZodType<T>): Collection<T>;
  close(): void;
}

interface Journal {
  append(line: string): void;
  replace(lines: Iterable<string>): void;
  close(): void;
}

const journalLine = z.object({ c: z.string(), k: z.string().optional(), v: z.unknown().optional() });
const COMPACT_AFTER_LINES = 20_000;

function formatLine(collection: string, key?: string, value?: unknown): string {
  return `${JSON.stringify({ c: collection, k: key, v: value })}\n`;
}

/** Replays a journal; a line that is not whole (the process was killed while writing it) is ignored. */
function replay(text: string): Map<string, Map<string, unknown>> {
  const collections = new Map<string, Map<string, unknown>>();
  for (const line of text.split('\n')) {
    if (line === '') continue;
    let parsed: z.infer<typeof journalLine>;
    try {
      parsed = journalLine.parse(JSON.parse(line));
    } catch {
      continue;
    }
    const entries = collections.get(parsed.c) ?? new Map<string, unknown>();
    collections.set(parsed.c, entries);
    if (parsed.k === undefined) entries.clear();
    else if (parsed.v === undefined) entries.delete(parsed.k);
    else entries.set(parsed.k, parsed.v);
  }
  return collections;
}

// One write call per change: a change is in the page cache, hence safe from `kill -9`, when the vendor's answer leaves.
// It is not synced: these are emulators, and a power cut may cost the last lines.
function openJournal(path: string): Journal {
  let descriptor = openSync(path, 'a');
  return {
    append: (line) => void writeSync(descriptor, line),
    replace: (lines) => {
      const temporary = `${path}.new`;
      const next = openSync(temporary, 'w');
      for (const line of lines) writeSync(next, line);
      fsyncSync(next);
      closeSync(next);
      renameSync(temporary, path);
      closeSync(descriptor);
      descriptor = openSync(path, 'a');
    },
    close: () => closeSync(descriptor),
  };
}

/** Opens the state kept in `directory` (made if absent), or an empty one in memory without it. */
export function createStateStore(directory?: string): StateStore {
  let found = new Map<string, Map<string, unknown>>();
  let journal: Journal | undefined;
  let linesSinceCompaction = 0;
  const dumps = new Map<string, () => Iterable<[string, unknown]>>();

  function* allLines(): Iterable<string> {
    let liveLines = 0;
    for (const [name, entries] of found) {
      if (dumps.has(name)) continue;
      for (const [key, value] of entries) yield formatLine(name, key, value);
    }
    for (const [name, dump] of dumps) {
      for (const [key, value] of dump()) {
        liveLines += 1;
        yield formatLine(name, key, value);
      }
    }
    linesSinceCompaction = -liveLines;
  }

  function record(line: string): void {
    if (journal === undefined) return;
    journal.append(line);
    linesSinceCompaction += 1;
    if (linesSinceCompaction > COMPACT_AFTER_LINES) journal.replace(allLines());
  }

  if (directory !== undefined) {
    mkdirSync(directory, { recursive: true });
    const path = join(directory, 'journal.jsonl');
    if (existsSync(path)) found = replay(readFileSync(path, 'utf8'));
    journal = openJournal(path);
    // Also drops a half-written last line, so that the next append starts on a line of its own.
    journal.replace(allLines());
  }

  return {
    collection: (name, schema) => {
      const entries = new Map(
        [...(found.get(name) ?? [])].flatMap(([key, value]) => {
          const parsed = schema.safeParse(value);
          return parsed.success ? [[key, parsed.data] as const] : [];
        }),
      );
      dumps.set(name, () => entries.entries());
      return {
        get: (key) => entries.get(key),
        put: (key, value) => {
          entries.set(key, value);
          record(formatLine(name, key, value));
        },
        delete: (key) => {
          const existed = entries.delete(key);
          if (existed) record(formatLine(name, key));
          return existed;
        },
        values: () => [...entries.values()],
        clear: () => {
          entries.clear();
          record(formatLine(name));
        },
        size: () => entries.size,
      };
    },
    close: () => {
      journal?.close();
      // What a call that was cut off still finishes is of no interest to anybody.
      journal = undefined;
    },
  };
}
