import { at, isFields, refuseUnknownKeys, type Fields, type Path, type RowProblems } from './row-errors.js';

const PART_KEYS: ReadonlySet<string> = new Set(['type', 'image_url']);
const IMAGE_KEYS: ReadonlySet<string> = new Set(['url', 'detail']);
const DETAILS: ReadonlySet<unknown> = new Set(['auto', 'low', 'high']);
const ADDRESS = /^https?:\/\//i;
const DATA_URL = /^data:image\//i;
const LEARNED_DATA_URL = /^data:image\/(jpe?g|png|webp);base64,/i;
/** Longer than any head of a data URL of an image: the rest is data, which can be megabytes. */
const URL_HEAD_CHARACTERS = 100;
/** The guide says 10 MB; the larger reading, so that nothing legal is complained of. */
const MAX_IMAGE_BYTES = 10 * 1024 * 1024;

/**
 * Checks a content part with an image. What OpenAI skips while it trains on the rest is a warning.
 *
 * @see https://developers.openai.com/api/docs/guides/vision-fine-tuning (read 2026-11-23): "What to do if your images get
 * skipped"
 */
export function checkImage(part: Fields, base: Path, problems: RowProblems): void {
  refuseUnknownKeys(part, PART_KEYS, base, problems);
  const image = part['image_url'];
  const path = at(base, 'image_url');
  if (!isFields(image)) {
    problems('invalid_image', path, image, 'an object with url');
    return;
  }
  refuseUnknownKeys(image, IMAGE_KEYS, path, problems);
  checkUrl(image['url'], at(path, 'url'), problems);
  if (image['detail'] !== undefined && !DETAILS.has(image['detail'])) {
    problems('invalid_image', at(path, 'detail'), image['detail'], 'auto, low or high');
  }
}

function checkUrl(url: unknown, path: Path, problems: RowProblems): void {
  const head = typeof url === 'string' ? url.slice(0, URL_HEAD_CHARACTERS) : '';
  if (typeof url !== 'string' || !(ADDRESS.test(head) || DATA_URL.test(head))) {
    problems('invalid_image', path, url, 'an http(s) address or a data: URL of an image');
  } else if (DATA_URL.test(head)) {
    const learned = LEARNED_DATA_URL.exec(head);
    if (learned === null) {
      problems('skipped_image_format', path, url, 'a JPEG, PNG or WEBP image in base64, or it is skipped');
    } else if (decodedBytes(url, learned[0].length) > MAX_IMAGE_BYTES) {
      problems('skipped_image_size', path, url, 'an image of at most 10 MB, or it is skipped');
    }
  }
}

function decodedBytes(url: string, start: number): number {
  const padding = url.endsWith('==') ? 2 : url.endsWith('=') ? 1 : 0;
  return Math.floor(((url.length - start - padding) * 3) / 4);
}
