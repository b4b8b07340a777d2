import { at, isFields, refuseUnknownKeys, type Fields, type Path, type RowProblems } from './row-errors.js';

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
const TEXT_PART_KEYS: ReadonlySet<string> = new Set(['type', 'text']);
const REFUSAL_PART_KEYS: ReadonlySet<string> = new Set(['type', 'refusal']);
const FUNCTION_KEYS: ReadonlySet<string> = new Set(['name', 'arguments']);

/** Checks an assistant message: text, or calls in its place, and `weight`, which says whether it is learned from. */
export function checkAssistant(message: Fields, base: Path, problems: RowProblems): void {
  refuseUnknownKeys(message, ASSISTANT_KEYS, base, problems);
  const { content, weight, name, refusal, audio } = message;
  const toolCalls = message['tool_calls'];
  const functionCall = message['function_call'];
  if (toolCalls !== undefined) checkToolCalls(toolCalls, at(base, 'tool_calls'), problems);
  if (functionCall !== undefined && functionCall !== null) {
    checkFunctionCall(functionCall, at(base, 'function_call'), problems);
  }
  if (content === undefined || content === null) {
    if (toolCalls === undefined && (functionCall === undefined || functionCall === null)) {
      problems('invalid_content', at(base, 'content'), content, 'a string, or null beside tool_calls or function_call');
    }
  } else checkTextContent(content, at(base, 'content'), 'text or refusal', problems);
  if (weight !== undefined && weight !== 0 && weight !== 1) {
    problems('invalid_weight', at(base, 'weight'), weight, '0 or 1');
  }
  if (name !== undefined && typeof name !== 'string') problems('invalid_name', at(base, 'name'), name, 'a string');
  if (refusal !== undefined && refusal !== null && typeof refusal !== 'string') {
    problems('invalid_refusal', at(base, 'refusal'), refusal, 'a string or null');
  }
  // Answers of the chat API, saved as rows, say `audio: null`; there is no training on audio.
  if (audio !== undefined && audio !== null) problems('audio', at(base, 'audio'), audio, 'absent or null');
}

/** Checks content that is text alone: a string, or a non-empty list of parts of the allowed types. */
export function checkTextContent(
  content: unknown,
  base: Path,
  allowed: 'text' | 'text or refusal',
  problems: RowProblems,
): void {
  if (typeof content === 'string') return;
  if (!Array.isArray(content) || content.length === 0) {
    problems('invalid_content', base, content, 'a string or a non-empty list of text parts');
    return;
  }
  for (let index = 0; index < content.length; index += 1) {
    const part: unknown = content[index];
    const path = at(base, index);
    if (!isFields(part)) {
      problems('invalid_content_part', path, part, 'a content part, an object with type');
      continue;
    }
    const type = part['type'];
    if (type === 'text' || (type === 'refusal' && allowed === 'text or refusal')) {
      if (typeof part[type] !== 'string') problems('invalid_content_part', at(path, type), part[type], 'a string');
      refuseUnknownKeys(part, type === 'text' ? TEXT_PART_KEYS : REFUSAL_PART_KEYS, path, problems);
    } else if (type === 'image_url') {
      problems('misplaced_image', at(path, 'type'), type, `${allowed}: only user messages have images`);
    } else problems('invalid_content_part', at(path, 'type'), type, allowed);
  }
}

function checkToolCalls(toolCalls: unknown, base: Path, problems: RowProblems): void {
  if (!Array.isArray(toolCalls) || toolCalls.length === 0) {
    problems('invalid_tool_calls', base, toolCalls, 'a non-empty list of tool calls');
    return;
  }
  for (let index = 0; index < toolCalls.length; index += 1) {
    const call: unknown = toolCalls[index];
    const path = at(base, index);
    if (!isFields(call)) {
      problems('invalid_tool_calls', path, call, 'an object with id, type and function');
      continue;
    }
    refuseUnknownKeys(call, CALL_KEYS, path, problems);
    if (typeof call['id'] !== 'string' || call['id'] === '') {
      problems('invalid_tool_calls', at(path, 'id'), call['id'], 'a non-empty string');
    }
    if (call['type'] !== 'function') problems('invalid_tool_calls', at(path, 'type'), call['type'], '"function"');
    checkFunctionCall(call['function'], at(path, 'function'), problems);
  }
}

function checkFunctionCall(call: unknown, base: Path, problems: RowProblems): void {
  if (!isFields(call)) {
    problems('invalid_function_call', base, call, 'an object with name and arguments');
    return;
  }
  refuseUnknownKeys(call, FUNCTION_KEYS, base, problems);
  if (typeof call['name'] !== 'string' || call['name'] === '') {
    problems('invalid_function_call', at(base, 'name'), call['name'], 'the name of the function');
  }
  if (typeof call['arguments'] !== 'string') {
    problems('invalid_function_call', at(base, 'arguments'), call['arguments'], 'the arguments as a JSON string');
  }
}
