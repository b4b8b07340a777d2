import { z } from 'zod';
import type { EmulatorContext } from '../core/emulator.js';
import type { Collection } from '../core/journal.js';
import { noSuchFile } from './errors.js';

export const fileRecord = z.object({
  id: z.string(),
  organizationId: z.string(),
  filename: z.string(),
  purpose: z.string(),
  sizeBytes: z.number(),
  createdMs: z.number(),
  expiresAtSeconds: z.number().nullable(),
});

export type FileRecord = z.infer<typeof fileRecord>;

export interface OpenAiFiles {
  records: Collection<FileRecord>;
  contentKey(id: string): string;
  /** The file if it exists for this organisation; throws OpenAI's 404. */
  find(id: string, organizationId: string): FileRecord;
  /** Oldest first, without those that expired. */
  list(organizationId: string): FileRecord[];
  remove(id: string): Promise<void>;
}

/** What this vendor keeps of files; contents are in the content store. */
export function createOpenAiFiles({ store, clock, content }: EmulatorContext): OpenAiFiles {
  const records = store.collection('openai.files', fileRecord);
  const contentKey = (id: string) => `openai-${id}`;
  const exists = (file: FileRecord) => file.expiresAtSeconds === null || file.expiresAtSeconds > clock.nowSeconds();
  return {
    records,
    contentKey,
    find: (id, organizationId) => {
      const file = records.get(id);
      if (file?.organizationId !== organizationId || !exists(file)) throw noSuchFile(id);
      return file;
    },
    list: (organizationId) => records.values().filter((file) => file.organizationId === organizationId && exists(file)),
    remove: async (id) => {
      records.delete(id);
      await content.delete(contentKey(id));
    },
  };
}
