import { GatewayError } from '../../domain/errors.js';

const BASE64 = /^[A-Za-z0-9+/=\r\n]*$/;
/** What base64 of a header that begins with `step` begins with: its first three bytes decide the first four characters. */
const ENCODED_HEADER = Buffer.from('ste').toString('base64');
const SNIFFED_CHARACTERS = 16;

/**
 * A metrics file as plain CSV: OpenAI documents CSV, and has answered base64 of it since 2024. Constant memory.
 * Throws `provider_invalid_response` where it is neither.
 *
 * @see https://developers.openai.com/api/docs/guides/supervised-fine-tuning (read 2026-11-23)
 */
export async function* plainCsv(content: AsyncIterable<Uint8Array>, provider: string): AsyncIterable<Uint8Array> {
  const utf8 = new TextDecoder();
  let text = '';
  let translate: Translate | null = null;
  for await (const chunk of content) {
    text += utf8.decode(chunk, { stream: true });
    if (translate === null && text.length < SNIFFED_CHARACTERS) continue;
    translate ??= translatorOf(text, provider);
    const bytes = translate(text, false);
    text = '';
    if (bytes.length > 0) yield bytes;
  }
  text += utf8.decode();
  translate ??= translatorOf(text, provider);
  const bytes = translate(text, true);
  if (bytes.length > 0) yield bytes;
}

/** Text of the answer to bytes of CSV, piece by piece. */
type Translate = (text: string, atEnd: boolean) => Uint8Array;

function translatorOf(head: string, provider: string): Translate {
  if (head.startsWith('step')) return (text) => Buffer.from(text);
  if (!head.startsWith(ENCODED_HEADER)) throw unreadable(provider);
  let pending = '';
  return (text, atEnd) => {
    if (!BASE64.test(text)) throw unreadable(provider);
    const characters = pending + text.replace(/[\r\n]/g, '');
    const usable = atEnd ? characters.length : characters.length - (characters.length % 4);
    pending = characters.slice(usable);
    return Buffer.from(characters.slice(0, usable), 'base64');
  };
}

function unreadable(provider: string): GatewayError {
  return new GatewayError('provider_invalid_response', 'The result file is neither CSV nor base64 of it.', {
    provider,
  });
}
