import { checkAssistant, checkTextContent } from './assistant-message.js';
import { at, isFields, refuseUnknownKeys, type Fields, type RowErrors } from './row-errors.js';

/** What of a list of messages the formats ask for. */
export interface MessageSummary {
  readonly hasAssistant: boolean;
  readonly lastRole: unknown;
}

export interface MessageRules {
  /** Preference rows are text alone. */
  readonly images: boolean;
}

const ROLES: ReadonlySet<unknown> = new Set(['system', 'developer', 'user', 'assistant', 'tool', 'function']);
const ROLE_LIST = 'one of system, developer, user, assistant, tool, function';
const INSTRUCTION_KEYS: ReadonlySet<string> = new Set(['role', 'content', 'name']);
const TOOL_KEYS: ReadonlySet<string> = new Set(['role', 'content', 'tool_call_id']);
const IMAGE_PART_KEYS: ReadonlySet<string> = new Set(['type', 'image_url']);
const IMAGE_KEYS: ReadonlySet<string> = new Set(['url', 'detail']);
const TEXT_PART_KEYS: ReadonlySet<string> = new Set(['type', 'text']);
const DETAILS: ReadonlySet<unknown> = new Set(['auto', 'low', 'high']);
const IMAGE_URL = /^(https?:\/\/|data:image\/)/i;

/** Checks a list of chat messages, and says what the row's format needs to know of it. Null where it is no list. */
export function checkMessages(
  messages: unknown,
  base: string,
  rules: MessageRules,
  errors: RowErrors,
): MessageSummary | null {
  if (!Array.isArray(messages) || messages.length === 0) {
    errors(base, messages, 'a non-empty list of messages');
    return null;
  }
  let hasAssistant = false;
  let lastRole: unknown;
  for (let index = 0; index < messages.length; index += 1) {
    const message: unknown = messages[index];
    if (!isFields(message)) {
      errors(`${base}[${index}]`, message, 'an object with role and content');
      continue;
    }
    lastRole = message['role'];
    if (lastRole === 'assistant') hasAssistant = true;
    checkMessage(message, `${base}[${index}]`, rules, errors);
  }
  return { hasAssistant, lastRole };
}

function checkMessage(message: Fields, base: string, rules: MessageRules, errors: RowErrors): void {
  const role = message['role'];
  switch (role) {
    case 'system':
    case 'developer':
      refuseUnknownKeys(message, INSTRUCTION_KEYS, base, errors);
      checkTextContent(message['content'], at(base, 'content'), 'text', errors);
      checkName(message['name'], base, errors);
      return;
    case 'user':
      refuseUnknownKeys(message, INSTRUCTION_KEYS, base, errors);
      checkUserContent(message['content'], at(base, 'content'), rules, errors);
      checkName(message['name'], base, errors);
      return;
    case 'assistant':
      checkAssistant(message, base, errors);
      return;
    case 'tool':
      refuseUnknownKeys(message, TOOL_KEYS, base, errors);
      checkTextContent(message['content'], at(base, 'content'), 'text', errors);
      if (!isNonEmptyString(message['tool_call_id'])) {
        errors(at(base, 'tool_call_id'), message['tool_call_id'], 'the id of the tool call that this message answers');
      }
      return;
    case 'function':
      refuseUnknownKeys(message, INSTRUCTION_KEYS, base, errors);
      if (message['content'] !== null && typeof message['content'] !== 'string') {
        errors(at(base, 'content'), message['content'], 'a string or null');
      }
      if (!isNonEmptyString(message['name'])) errors(at(base, 'name'), message['name'], 'the name of the function');
      return;
    default:
      if (!ROLES.has(role)) errors(at(base, 'role'), role, ROLE_LIST);
  }
}

function checkName(name: unknown, base: string, errors: RowErrors): void {
  if (name !== undefined && typeof name !== 'string') errors(at(base, 'name'), name, 'a string');
}

function checkUserContent(content: unknown, base: string, rules: MessageRules, errors: RowErrors): void {
  if (typeof content === 'string') return;
  if (!Array.isArray(content) || content.length === 0) {
    errors(base, content, 'a string or a non-empty list of content parts');
    return;
  }
  for (let index = 0; index < content.length; index += 1) {
    const part: unknown = content[index];
    const path = `${base}[${index}]`;
    const type = isFields(part) ? part['type'] : undefined;
    if (!isFields(part)) errors(path, part, 'a content part, an object with type');
    else if (type === 'text') {
      refuseUnknownKeys(part, TEXT_PART_KEYS, path, errors);
      if (typeof part['text'] !== 'string') errors(at(path, 'text'), part['text'], 'a string');
    } else if (type === 'image_url' && rules.images) checkImage(part, path, errors);
    else
      errors(at(path, 'type'), type, rules.images ? 'text or image_url' : 'text: rows of this method carry no images');
  }
}

function checkImage(part: Fields, base: string, errors: RowErrors): void {
  refuseUnknownKeys(part, IMAGE_PART_KEYS, base, errors);
  const image = part['image_url'];
  const path = at(base, 'image_url');
  if (!isFields(image)) {
    errors(path, image, 'an object with url');
    return;
  }
  refuseUnknownKeys(image, IMAGE_KEYS, path, errors);
  const url = image['url'];
  if (typeof url !== 'string' || !IMAGE_URL.test(url)) {
    errors(at(path, 'url'), url, 'an http(s) address or a data: URL of an image');
  }
  if (image['detail'] !== undefined && !DETAILS.has(image['detail'])) {
    errors(at(path, 'detail'), image['detail'], 'auto, low or high');
  }
}

function isNonEmptyString(value: unknown): boolean {
  return typeof value === 'string' && value !== '';
}
