import { expect, it, vi } from 'vitest';
import { gatewayErrorOf, inPieces } from '../../../test/support/contract-inputs.js';
import { countedContent } from './dataset.js';

const MEBIBYTE = 1024 * 1024;

async function read(content: AsyncIterable<Uint8Array>): Promise<number> {
  let length = 0;
  for await (const chunk of content) length += chunk.length;
  return length;
}

it('content says every mebibyte that it moves', async () => {
  const heartbeat = vi.fn();
  const bytes = new Uint8Array(3.5 * MEBIBYTE);
  expect(await read(countedContent({ content: inPieces(bytes, 65_536), sizeBytes: bytes.length, heartbeat }))).toBe(
    bytes.length,
  );
  expect(heartbeat).toHaveBeenCalledTimes(3);
});

it.each([2, 4])('content that does not have its size fails: %i bytes instead of 3', async (length) => {
  const content = inPieces(new Uint8Array(length));
  const error = await gatewayErrorOf(read(countedContent({ content, sizeBytes: 3, heartbeat: vi.fn() })));
  expect(error.code).toBe('file_content_missing');
});
