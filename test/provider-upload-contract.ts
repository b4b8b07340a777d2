import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { GatewayError } from '../src/domain/errors.js';
import type { FineTuningProvider, RemoteFile, UploadInput } from '../src/domain/provider-port.js';
import {
  CONTRACT_JOB_ID,
  createSavedProgress,
  datasetBytes,
  gatewayErrorOf,
  inPieces,
  uploadInput,
  type SavedProgress,
} from './support/contract-inputs.js';
import { startOwnEmulators, type EmulatorControl } from './support/emulator-control.js';

/** What the suite must know of a vendor that takes large files in parts. */
export interface UploadContract {
  readonly name: string;
  /** The vendor at the emulators, with files above `fileBytes` in parts of `partBytes`. */
  connect(
    emulatorsUrl: string,
    sizes: { readonly inPartsAboveBytes: number; readonly partBytes: number },
  ): FineTuningProvider;
  /** The vendor's names for the calls that the faults hit. */
  readonly operations: {
    readonly begin: string;
    readonly part: string;
    readonly complete: string;
    readonly cancel: string;
    /** Of a small file, in one request. */
    readonly whole: string;
  };
  /** What the emulator has of a file. */
  contentOf(emulatorsUrl: string, file: RemoteFile): Promise<Uint8Array>;
}

const PART_BYTES = 1_000;
const IN_PARTS_ABOVE_BYTES = 2_500;

/** What every provider does alike that takes large files in parts, run against its emulator. */
export function describeUploadContract(contract: UploadContract): void {
  const { operations } = contract;

  describe(`large files for ${contract.name}`, () => {
    let emulators: EmulatorControl & { close(): Promise<void> };
    let vendor: FineTuningProvider;
    let saved: SavedProgress;
    const never = new AbortController().signal;
    const bytes = datasetBytes(50);
    const partCount = Math.ceil(bytes.length / PART_BYTES);

    beforeAll(async () => {
      emulators = await startOwnEmulators();
    });
    afterAll(() => emulators.close());
    beforeEach(async () => {
      await emulators.reset();
      vendor = contract.connect(emulators.url, { inPartsAboveBytes: IN_PARTS_ABOVE_BYTES, partBytes: PART_BYTES });
      saved = createSavedProgress();
    });

    const callsTo = async (operation: string, status?: number): Promise<number> =>
      (await emulators.calls(operation)).filter((call) => status === undefined || call.status === status).length;
    /** Uploads that the vendor has begun and neither completed nor cancelled. */
    const halfDone = async (): Promise<number> =>
      (await callsTo(operations.begin, 200)) -
      (await callsTo(operations.complete, 200)) -
      (await callsTo(operations.cancel, 200));
    const filesThere = () => vendor.findDatasets(CONTRACT_JOB_ID, new Date().toISOString(), never);
    /** An attempt that begins where the one before it has come to. */
    const attempt = (more: Partial<UploadInput> = {}, signal = never): Promise<RemoteFile> =>
      vendor.uploadDataset(
        uploadInput(bytes, { resumeFrom: saved.last(), saveProgress: saved.saveProgress, ...more }),
        signal,
      );
    /** Does something once that many parts are saved; the first save is before the first part. */
    const afterParts =
      (count: number, action: () => Promise<unknown>): UploadInput['saveProgress'] =>
      async (progress) => {
        await saved.saveProgress(progress);
        if (saved.every.length === count + 1) await action();
      };
    const expectWhole = async (file: RemoteFile): Promise<void> => {
      expect(await filesThere()).toEqual([file]);
      expect(Buffer.from(await contract.contentOf(emulators.url, file)).equals(bytes)).toBe(true);
    };

    it('arrive whole, in parts that are saved before the first and after each', async () => {
      const file = await attempt();
      await expectWhole(file);
      expect(await callsTo(operations.part, 200)).toBe(partCount);
      expect(saved.every).toHaveLength(partCount + 1);
      expect(JSON.parse(JSON.stringify(saved.every))).toEqual(saved.every);
      expect(new Set(saved.every.map((progress) => JSON.stringify(progress))).size).toBe(partCount + 1);
      expect(await halfDone()).toBe(0);
    });

    it.each([
      ['of one chunk', bytes.length],
      ['in chunks of just one part', PART_BYTES],
      ['byte by byte', 1],
    ])('arrive whole %s', async (_what, size) => {
      await expectWhole(await attempt({ content: inPieces(bytes, size) }));
    });

    it('are those above the limit only', async () => {
      const small = bytes.subarray(0, IN_PARTS_ABOVE_BYTES);
      await attempt({ content: inPieces(small), sizeBytes: small.length });
      expect(await callsTo(operations.begin)).toBe(0);
      expect(await callsTo(operations.whole, 200)).toBe(1);
      expect(saved.every).toEqual([]);
    });

    it('are found by a later attempt, and not sent again', async () => {
      const file = await attempt();
      expect(await vendor.uploadDataset(uploadInput(bytes), never)).toEqual(file);
      expect(await callsTo(operations.begin)).toBe(1);
    });

    it.each(Array.from({ length: partCount }, (_, index) => [index + 1]))(
      'go on after the last good part where the connection was cut in part %i',
      async (part) => {
        const cut = () => emulators.fault({ kind: 'reset', operation: operations.part, times: 1 });
        const error = await gatewayErrorOf(attempt({ saveProgress: afterParts(part - 1, cut) }));
        expect(error).toMatchObject({ code: 'provider_unavailable', retryable: true });
        await expectWhole(await attempt());
        expect(await callsTo(operations.begin)).toBe(1);
        expect(await callsTo(operations.part)).toBe(partCount + 1);
        expect(await callsTo(operations.cancel)).toBe(0);
      },
    );

    it('go on after a part whose answer was lost, which is sent again', async () => {
      const lost = () =>
        emulators.fault({ kind: 'execute-then-timeout', operation: operations.part, times: 1, delay_ms: 1 });
      const error = await gatewayErrorOf(attempt({ saveProgress: afterParts(2, lost) }));
      expect(error).toMatchObject({ code: 'provider_unavailable', retryable: true });
      await expectWhole(await attempt());
      expect(await callsTo(operations.part)).toBe(partCount + 1);
    });

    it('begin anew where the vendor has the half-done upload no longer', async () => {
      const vanish = async (): Promise<void> => {
        await vendor.discardUpload(saved.last() ?? null, never);
        await emulators.fault({ kind: 'reset', operation: operations.part, times: 1 });
      };
      await gatewayErrorOf(attempt({ saveProgress: afterParts(2, vanish) }));
      const refused = await gatewayErrorOf(attempt());
      expect(refused).toMatchObject({ retryable: true });
      expect(saved.every.at(-1)).toBeNull();
      await expectWhole(await attempt());
      expect(await callsTo(operations.begin)).toBe(2);
      expect(await halfDone()).toBe(0);
    });

    it.each([
      ['of another shape', { upload: 'upload_1', part: 3 }],
      ['that is no object', 'upload_1'],
    ])('begin anew from something saved %s', async (_what, resumeFrom) => {
      await expectWhole(await attempt({ resumeFrom }));
      expect(await halfDone()).toBe(0);
    });

    it('that were completed without an answer are found, not sent again', async () => {
      await emulators.fault({
        kind: 'execute-then-timeout',
        operation: operations.complete,
        times: 1,
        delay_ms: 1,
      });
      const error = await gatewayErrorOf(attempt());
      expect(error).toMatchObject({ code: 'provider_unavailable', retryable: true });
      await expectWhole(await attempt());
      expect(await callsTo(operations.begin)).toBe(1);
      expect(await callsTo(operations.part)).toBe(partCount);
    });

    it('that could not be completed are completed by the next attempt, without a part sent again', async () => {
      await emulators.fault({ kind: 'status', status: 503, operation: operations.complete, times: 1 });
      expect(await gatewayErrorOf(attempt())).toMatchObject({ code: 'provider_unavailable', retryable: true });
      await expectWhole(await attempt());
      expect(await callsTo(operations.part)).toBe(partCount);
    });

    it.each([
      ['at its end', bytes.length],
      ['half-way', bytes.length / 2],
    ])('whose content turns out to be damaged %s are not completed, and nothing is left', async (_what, length) => {
      const damage = new GatewayError('file_content_damaged', 'The stored content is damaged.');
      async function* damaged(): AsyncIterable<Uint8Array> {
        yield* inPieces(bytes.subarray(0, length));
        throw damage;
      }
      await expect(attempt({ content: damaged() })).rejects.toBe(damage);
      expect(await callsTo(operations.complete)).toBe(0);
      expect(saved.every.at(-1)).toBeNull();
      expect(await halfDone()).toBe(0);
      expect(await filesThere()).toEqual([]);
    });

    it.each([
      ['too short', bytes.subarray(1)],
      ['too long', Buffer.concat([bytes, Buffer.from('\n')])],
    ])('whose content is %s are not completed, and nothing is left', async (_what, content) => {
      const error = await gatewayErrorOf(attempt({ content: inPieces(content) }));
      expect(error).toMatchObject({ code: 'file_content_missing' });
      expect(await filesThere()).toEqual([]);
      expect(await halfDone()).toBe(0);
    });

    it('whose content cannot be read for now are gone on with', async () => {
      const failure = new GatewayError('storage_unavailable', 'The file store does not answer.');
      async function* broken(): AsyncIterable<Uint8Array> {
        yield* inPieces(bytes.subarray(0, 2.5 * PART_BYTES));
        throw failure;
      }
      await expect(attempt({ content: broken() })).rejects.toBe(failure);
      expect(await callsTo(operations.cancel)).toBe(0);
      await expectWhole(await attempt());
      expect(await callsTo(operations.begin)).toBe(1);
    });

    it.each([
      ['part', operations.part],
      ['completion', operations.complete],
    ])('of which the vendor refuses a %s fail for good, and nothing is left', async (_what, operation) => {
      await emulators.fault({
        kind: 'status',
        status: 400,
        operation,
        times: 1,
        body: { error: { message: 'Storage quota exceeded.', type: 'invalid_request_error', code: null } },
      });
      const error = await gatewayErrorOf(attempt());
      expect(error).toMatchObject({ code: 'provider_bad_request', retryable: false });
      expect(error.message).toContain('Storage quota exceeded.');
      expect(saved.every.at(-1)).toBeNull();
      expect(await halfDone()).toBe(0);
      expect(await filesThere()).toEqual([]);
    });

    it('stay as they are where an attempt is cancelled, and are given up by what it saved', async () => {
      const controller = new AbortController();
      const reason = new Error('the activity was cancelled');
      const abort = (): Promise<void> => {
        controller.abort(reason);
        return Promise.resolve();
      };
      await expect(attempt({ saveProgress: afterParts(2, abort) }, controller.signal)).rejects.toBe(reason);
      expect(await halfDone()).toBe(1);
      for (let count = 0; count < 2; count += 1) await vendor.discardUpload(saved.last() ?? null, never);
      expect(await halfDone()).toBe(0);
      expect(await callsTo(operations.complete)).toBe(0);
    });

    it('are cancelled at once where their beginning cannot be saved: nobody would find them', async () => {
      const failure = new GatewayError('database_unavailable', 'PostgreSQL does not answer.');
      await expect(attempt({ saveProgress: () => Promise.reject(failure) })).rejects.toBe(failure);
      expect(await callsTo(operations.part)).toBe(0);
      expect(await halfDone()).toBe(0);
    });

    it('are given up without an error where nothing is left to give up', async () => {
      await attempt();
      for (const progress of saved.every) await vendor.discardUpload(progress, never);
      await vendor.discardUpload(null, never);
      await vendor.discardUpload({ upload: 'of another release' }, never);
      expect(await filesThere()).toHaveLength(1);
    });
  });
}
