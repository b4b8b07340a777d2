/** What a code point is to the rules that split text; each a bit, so that one test asks for several. */
export const UPPER = 1;
export const LOWER = 2;
/** Letters that are neither: Lm and Lo. */
export const UNCASED = 4;
export const MARK = 8;
export const DIGIT = 16;
/** Carriage return and line feed. */
export const NEWLINE = 32;
/** All other white space. */
export const SPACE = 64;
export const OTHER = 128;

export const LETTER = UPPER | LOWER | UNCASED;
export const WHITE_SPACE = NEWLINE | SPACE;
/** `[^\s\p{L}\p{N}]` */
export const SYMBOL = MARK | OTHER;
/** `[^\r\n\p{L}\p{N}]` */
export const PREFIX = SPACE | SYMBOL;

/** Classes of texts up to here share one buffer. */
const MAX_SHARED_BYTES = 192 * 1024;
const PAGE_BITS = 8;
const PAGE_SIZE = 1 << PAGE_BITS;
const PAGES = 0x11_0000 >> PAGE_BITS;

/**
 * UTF-8 text with the class of each byte's code point: that of byte `i` is `classes[source[i]]`. All bytes of a code point
 * have its class, so that most rules need not know where one begins; behind the last byte stands 0.
 */
export interface ClassifiedText {
  readonly bytes: Uint8Array;
  readonly sizeBytes: number;
  readonly source: Uint8Array;
  readonly classes: Uint8Array;
}

/** Behind the text in `bytes`; no byte of UTF-8. */
export const END_MARK = 0xff;

/** `bytes` is valid UTF-8, `END_MARK` and room; where it `isAscii`, it needs no copy with the classes. */
export type Classify = (bytes: Uint8Array, sizeBytes: number, isAscii: boolean) => ClassifiedText;

export function createClassifier(): Classify {
  const pages: (Uint8Array | undefined)[] = Array.from({ length: PAGES });
  const ascii = classPage(0);
  // Of bytes in ASCII text: above are no characters, but `END_MARK`.
  ascii.fill(0, 0x80);
  const identity = Uint8Array.from({ length: PAGE_SIZE }, (_, index) => index);
  let shared = new Uint8Array(0);

  const classOf = (codePoint: number): number => {
    const number = codePoint >> PAGE_BITS;
    const page = (pages[number] ??= classPage(number));
    return page[codePoint & (PAGE_SIZE - 1)] ?? OTHER;
  };

  const classesOf = (bytes: Uint8Array, sizeBytes: number): Uint8Array => {
    if (shared.length <= sizeBytes && sizeBytes <= MAX_SHARED_BYTES) shared = new Uint8Array(MAX_SHARED_BYTES + 1);
    const classes = sizeBytes <= MAX_SHARED_BYTES ? shared : new Uint8Array(sizeBytes + 1);
    let index = 0;
    while (index < sizeBytes) {
      const first = bytes[index] ?? 0;
      if (first < 0x80) {
        classes[index] = ascii[first] ?? OTHER;
        index += 1;
        continue;
      }
      const second = (bytes[index + 1] ?? 0) & 0x3f;
      if (first < 0xe0) {
        const found = classOf(((first & 0x1f) << 6) | second);
        classes[index] = found;
        classes[index + 1] = found;
        index += 2;
        continue;
      }
      const third = (bytes[index + 2] ?? 0) & 0x3f;
      if (first < 0xf0) {
        const found = classOf(((first & 0x0f) << 12) | (second << 6) | third);
        classes[index] = found;
        classes[index + 1] = found;
        classes[index + 2] = found;
        index += 3;
        continue;
      }
      const fourth = (bytes[index + 3] ?? 0) & 0x3f;
      const found = classOf(((first & 0x07) << 18) | (second << 12) | (third << 6) | fourth);
      classes.fill(found, index, index + 4);
      index += 4;
    }
    classes[sizeBytes] = 0;
    return classes;
  };

  return (bytes, sizeBytes, isAscii) =>
    isAscii
      ? { bytes, sizeBytes, source: bytes, classes: ascii }
      : { bytes, sizeBytes, source: classesOf(bytes, sizeBytes), classes: identity };
}

function classPage(number: number): Uint8Array {
  const first = number << PAGE_BITS;
  return Uint8Array.from({ length: PAGE_SIZE }, (_, index) => classOfCharacter(String.fromCodePoint(first + index)));
}

function classOfCharacter(character: string): number {
  if (character === '\r' || character === '\n') return NEWLINE;
  // Not \s: in JavaScript that has U+FEFF and lacks U+0085, and the encodings' own rules mean Unicode's white space.
  if (/\p{White_Space}/u.test(character)) return SPACE;
  if (/[\p{Lu}\p{Lt}]/u.test(character)) return UPPER;
  if (/\p{Ll}/u.test(character)) return LOWER;
  if (/\p{L}/u.test(character)) return UNCASED;
  if (/\p{M}/u.test(character)) return MARK;
  return /\p{N}/u.test(character) ? DIGIT : OTHER;
}
