import { addAbortSignal, type Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import type { PreflightOptions, PreflightReport } from '../datasets/preflight-report.js';
import type { FileRow, FilesService } from '../files/files-service.js';
import type { FilePreflightRequest } from './schemas/preflight-request.js';
import { createTurns } from './turns.js';

/** Preflight of files that are in the store. */
export interface FilePreflight {
  /**
   * One pass over the content. At most two at once in a process; the rest wait their turn. Throws what reading the content
   * throws (`FileContents.open`), `file_not_found` for a file that was deleted meanwhile, and the signal's reason.
   */
  check(file: FileRow, request: FilePreflightRequest, signal: AbortSignal): Promise<PreflightReport>;
  /** How many wait for their turn. */
  waiting(): number;
}

export interface FilePreflightDependencies {
  readonly files: Pick<FilesService, 'get' | 'openContent'>;
  /** `preflight` of `src/datasets`. */
  readonly preflight: (
    content: AsyncIterable<Uint8Array>,
    options: PreflightOptions,
    signal: AbortSignal,
  ) => Promise<PreflightReport>;
  readonly maxRowBytes: number;
  /** Null: as many as there are. */
  readonly maxDatasetRows: number | null;
}

const PASSES_AT_ONCE = 2;

export function createFilePreflight(dependencies: FilePreflightDependencies): FilePreflight {
  const { files, preflight, maxRowBytes, maxDatasetRows } = dependencies;
  const turns = createTurns(PASSES_AT_ONCE);
  return {
    check: (file, request, signal) =>
      turns.run(signal, async () => {
        const content = await files.openContent(await files.get(file.workspaceId, file.id));
        try {
          // A read that hangs ends at once too.
          addAbortSignal(signal, content);
          const options: PreflightOptions = {
            ...request,
            maxRowBytes,
            ...(maxDatasetRows === null ? {} : { maximumRows: maxDatasetRows }),
            // The lines go to whoever brought them.
            excerpts: true,
          };
          return await preflight(withPauses(content), options, signal);
        } finally {
          content.destroy();
        }
      }),
    waiting: () => turns.waiting(),
  };
}

/** Checking rows is work for the processor alone: between two chunks other calls have their turn. */
async function* withPauses(content: Readable): AsyncGenerator<Uint8Array, void, undefined> {
  const chunks: AsyncIterable<Uint8Array> = content;
  for await (const chunk of chunks) {
    yield chunk;
    await setImmediate();
  }
}
