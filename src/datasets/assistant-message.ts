import { at, isFields, refuseUnknownKeys, type Fields, type RowErrors } from './row-errors.js';

const ASSISTANT_KEYS: ReadonlySet<string> = new Set([
  'role',
  'content',
  'name',
  'weight',
  'tool_calls',
  'function_call',
  'refusal',
  'audio',
]);
const CALL_KEYS: ReadonlySet<string> = new Set(['id', 'type', 'function']);
const FUNCTION_KEYS: ReadonlySet<string> = new Set(['name', 'arguments']);

/** Checks an assistant message: text, or calls in its place, and `weight`, which says whether it is learned from. */
export function checkAssistant(message: Fields, base: string, errors: RowErrors): void {
  refuseUnknownKeys(message, ASSISTANT_KEYS, base, errors);
  const { content, weight, name, refusal, audio } = message;
  const toolCalls = message['tool_calls'];
  const functionCall = message['function_call'];
  if (toolCalls !== undefined) checkToolCalls(toolCalls, at(base, 'tool_calls'), errors);
  if (functionCall !== undefined && functionCall !== null) {
    checkFunctionCall(functionCall, at(base, 'function_call'), errors);
  }
  if (content === undefined || content === null) {
    if (toolCalls === undefined && (functionCall === undefined || functionCall === null)) {
      errors(at(base, 'content'), content, 'a string, or null beside tool_calls or function_call');
    }
  } else checkTextContent(content, at(base, 'content'), 'text or refusal', errors);
  if (weight !== undefined && weight !== 0 && weight !== 1) errors(at(base, 'weight'), weight, '0 or 1');
  if (name !== undefined && typeof name !== 'string') errors(at(base, 'name'), name, 'a string');
  if (refusal !== undefined && refusal !== null && typeof refusal !== 'string') {
    errors(at(base, 'refusal'), refusal, 'a string or null');
  }
  // Answers of the chat API, saved as rows, say `audio: null`; there is no training on audio.
  if (audio !== undefined && audio !== null) errors(at(base, 'audio'), audio, 'absent or null');
}

/** Checks content that is text alone: a string, or a non-empty list of parts of the allowed types. */
export function checkTextContent(
  content: unknown,
  base: string,
  allowed: 'text' | 'text or refusal',
  errors: RowErrors,
): void {
  if (typeof content === 'string') return;
  if (!Array.isArray(content) || content.length === 0) {
    errors(base, content, 'a string or a non-empty list of text parts');
    return;
  }
  for (let index = 0; index < content.length; index += 1) {
    const part: unknown = content[index];
    const path = `${base}[${index}]`;
    if (!isFields(part)) {
      errors(path, part, 'a content part, an object with type');
      continue;
    }
    const type = part['type'];
    if (type === 'text' || (type === 'refusal' && allowed === 'text or refusal')) {
      if (typeof part[type] !== 'string') errors(at(path, type), part[type], 'a string');
      refuseUnknownKeys(part, new Set(['type', type]), path, errors);
    } else {
      errors(at(path, 'type'), type, type === 'image_url' ? `${allowed}: only user messages have images` : allowed);
    }
  }
}

function checkToolCalls(toolCalls: unknown, base: string, errors: RowErrors): void {
  if (!Array.isArray(toolCalls) || toolCalls.length === 0) {
    errors(base, toolCalls, 'a non-empty list of tool calls');
    return;
  }
  for (let index = 0; index < toolCalls.length; index += 1) {
    const call: unknown = toolCalls[index];
    const path = `${base}[${index}]`;
    if (!isFields(call)) {
      errors(path, call, 'an object with id, type and function');
      continue;
    }
    refuseUnknownKeys(call, CALL_KEYS, path, errors);
    if (typeof call['id'] !== 'string' || call['id'] === '') errors(at(path, 'id'), call['id'], 'a non-empty string');
    if (call['type'] !== 'function') errors(at(path, 'type'), call['type'], '"function"');
    checkFunctionCall(call['function'], at(path, 'function'), errors);
  }
}

function checkFunctionCall(call: unknown, base: string, errors: RowErrors): void {
  if (!isFields(call)) {
    errors(base, call, 'an object with name and arguments');
    return;
  }
  refuseUnknownKeys(call, FUNCTION_KEYS, base, errors);
  if (typeof call['name'] !== 'string' || call['name'] === '') {
    errors(at(base, 'name'), call['name'], 'the name of the function');
  }
  if (typeof call['arguments'] !== 'string') {
    errors(at(base, 'arguments'), call['arguments'], 'the arguments as a JSON string');
  }
}
