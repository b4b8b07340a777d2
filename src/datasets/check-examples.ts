import type { CheckExample } from './examples/check-example.js';
import { FILE_EXAMPLES } from './examples/file-examples.js';
import { FORMAT_EXAMPLES } from './examples/format-examples.js';
import { LINE_EXAMPLES } from './examples/line-examples.js';
import { MESSAGE_EXAMPLES } from './examples/message-examples.js';
import { TOOL_EXAMPLES } from './examples/tool-examples.js';

export type { CheckExample } from './examples/check-example.js';

/** One or more for every check. */
export const CHECK_EXAMPLES: readonly CheckExample[] = [
  ...FILE_EXAMPLES,
  ...LINE_EXAMPLES,
  ...MESSAGE_EXAMPLES,
  ...TOOL_EXAMPLES,
  ...FORMAT_EXAMPLES,
];

/** The bytes of an example's file. */
export function exampleContent(example: CheckExample): Uint8Array {
  return 'hex' in example.content
    ? Buffer.from(example.content.hex, 'hex')
    : Buffer.from(example.content.lines.join('\n'), 'utf8');
}
