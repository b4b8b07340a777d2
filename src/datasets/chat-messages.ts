import { checkAssistant, checkTextContent } from './assistant-message.js';
import { checkImage } from './images.js';
import { at, isFields, refuseUnknownKeys, type Fields, type Path, type RowProblems } from './row-errors.js';
import { countRole, type RowTally } from './row-tally.js';

/** What of a list of messages the formats ask for. */
export interface MessageSummary {
  readonly assistantCount: number;
  /** Of these, the ones with weight 0. */
  readonly unlearnedCount: number;
  readonly lastRole: unknown;
  readonly imageCount: number;
  /** Whether there are calls of tools, or answers to them. */
  readonly hasTools: boolean;
}

export interface MessageRules {
  /** Preference rows are text alone. */
  readonly images: boolean;
  readonly tally: RowTally;
}

const ROLE_LIST = 'one of system, developer, user, assistant, tool, function';
const INSTRUCTION_KEYS: ReadonlySet<string> = new Set(['role', 'content', 'name']);
const TOOL_KEYS: ReadonlySet<string> = new Set(['role', 'content', 'tool_call_id']);
const TEXT_PART_KEYS: ReadonlySet<string> = new Set(['type', 'text']);

/** Checks a list of chat messages, and says what the row's format needs to know of it. Null where it is no list. */
export function checkMessages(
  messages: unknown,
  base: Path,
  rules: MessageRules,
  problems: RowProblems,
): MessageSummary | null {
  if (!Array.isArray(messages) || messages.length === 0) {
    problems('no_messages', base, messages, 'a non-empty list of messages');
    return null;
  }
  let assistantCount = 0;
  let unlearnedCount = 0;
  let imageCount = 0;
  let hasTools = false;
  let lastRole: unknown;
  for (let index = 0; index < messages.length; index += 1) {
    const message: unknown = messages[index];
    if (!isFields(message)) {
      problems('invalid_message', at(base, index), message, 'an object with role and content');
      continue;
    }
    lastRole = message['role'];
    if (lastRole === 'assistant') {
      assistantCount += 1;
      if (message['weight'] === 0) unlearnedCount += 1;
      hasTools ||= message['tool_calls'] !== undefined || message['function_call'] !== undefined;
    } else if (lastRole === 'tool') hasTools = true;
    imageCount += checkMessage(message, at(base, index), rules, problems);
  }
  return { assistantCount, unlearnedCount, lastRole, imageCount, hasTools };
}

/** Answers how many images the message has. */
function checkMessage(message: Fields, base: Path, rules: MessageRules, problems: RowProblems): number {
  const role = message['role'];
  switch (role) {
    case 'system':
    case 'developer':
      countRole(rules.tally, role);
      refuseMessageKeys(message, INSTRUCTION_KEYS, base, problems);
      checkTextContent(message['content'], at(base, 'content'), 'text', problems);
      checkName(message['name'], base, problems);
      return 0;
    case 'user':
      countRole(rules.tally, role);
      refuseMessageKeys(message, INSTRUCTION_KEYS, base, problems);
      checkName(message['name'], base, problems);
      return checkUserContent(message['content'], at(base, 'content'), rules, problems);
    case 'assistant':
      countRole(rules.tally, role);
      checkAssistant(message, base, problems);
      return 0;
    case 'tool':
      countRole(rules.tally, role);
      refuseMessageKeys(message, TOOL_KEYS, base, problems);
      checkTextContent(message['content'], at(base, 'content'), 'text', problems);
      if (!isNonEmptyString(message['tool_call_id'])) {
        const expected = 'the id of the tool call that this message answers';
        problems('invalid_tool_message', at(base, 'tool_call_id'), message['tool_call_id'], expected);
      }
      return 0;
    case 'function':
      countRole(rules.tally, role);
      refuseMessageKeys(message, INSTRUCTION_KEYS, base, problems);
      if (message['content'] !== null && typeof message['content'] !== 'string') {
        problems('invalid_content', at(base, 'content'), message['content'], 'a string or null');
      }
      if (!isNonEmptyString(message['name'])) {
        problems('invalid_tool_message', at(base, 'name'), message['name'], 'the name of the function');
      }
      return 0;
    default:
      problems('unknown_role', at(base, 'role'), role, ROLE_LIST);
      return 0;
  }
}

/** As `refuseUnknownKeys`, for messages that are not an assistant's. */
function refuseMessageKeys(message: Fields, known: ReadonlySet<string>, base: Path, problems: RowProblems): void {
  if (message['weight'] === undefined) {
    refuseUnknownKeys(message, known, base, problems);
    return;
  }
  const { weight, ...others } = message;
  problems('misplaced_weight', at(base, 'weight'), weight, 'absent: only assistant messages have a weight');
  refuseUnknownKeys(others, known, base, problems);
}

function checkName(name: unknown, base: Path, problems: RowProblems): void {
  if (name !== undefined && typeof name !== 'string') problems('invalid_name', at(base, 'name'), name, 'a string');
}

function checkUserContent(content: unknown, base: Path, rules: MessageRules, problems: RowProblems): number {
  if (typeof content === 'string') return 0;
  if (!Array.isArray(content) || content.length === 0) {
    problems('invalid_content', base, content, 'a string or a non-empty list of content parts');
    return 0;
  }
  let imageCount = 0;
  for (let index = 0; index < content.length; index += 1) {
    const part: unknown = content[index];
    const path = at(base, index);
    const type = isFields(part) ? part['type'] : undefined;
    if (!isFields(part)) {
      problems('invalid_content_part', path, part, 'a content part, an object with type');
    } else if (type === 'text') {
      refuseUnknownKeys(part, TEXT_PART_KEYS, path, problems);
      if (typeof part['text'] !== 'string') {
        problems('invalid_content_part', at(path, 'text'), part['text'], 'a string');
      }
    } else if (type === 'image_url') {
      imageCount += 1;
      if (rules.images) checkImage(part, path, problems);
      else problems('misplaced_image', at(path, 'type'), type, 'text: rows of this method carry no images');
    } else {
      const expected = rules.images ? 'text or image_url' : 'text: rows of this method carry no images';
      problems('invalid_content_part', at(path, 'type'), type, expected);
    }
  }
  return imageCount;
}

function isNonEmptyString(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}
