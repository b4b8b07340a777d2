import type { MethodType } from '../domain/job.js';
import { checkMessages } from './chat-messages.js';
import type { RowFormat } from './report.js';
import { at, isFields, refuseUnknownKeys, type Fields, type RowErrors } from './row-errors.js';
import { checkTools } from './tools.js';

const CHAT_KEYS: ReadonlySet<string> = new Set(['messages', 'tools', 'parallel_tool_calls', 'functions']);
const COMPLETION_KEYS: ReadonlySet<string> = new Set(['prompt', 'completion']);
const PREFERENCE_KEYS: ReadonlySet<string> = new Set(['input', 'preferred_output', 'non_preferred_output']);
const INPUT_KEYS: ReadonlySet<string> = new Set(['messages', 'tools', 'parallel_tool_calls']);

/** The format of a file, by its method and, for supervised rows, by the shape of the first. */
export function rowFormat(method: MethodType, firstRow: Fields): RowFormat {
  if (method === 'dpo') return 'preference';
  if (method === 'reinforcement') return 'reinforcement';
  return isCompletion(firstRow) ? 'completion' : 'chat';
}

/**
 * Checks one row by OpenAI's rules.
 *
 * @see https://developers.openai.com/api/docs/guides/supervised-fine-tuning (read 2026-11-23), and the schemas
 * FineTuneChatRequestInput, FineTunePreferenceRequestInput and FineTuneReinforcementRequestInput of OpenAI's OpenAPI document.
 */
export function checkRow(row: Fields, format: RowFormat, errors: RowErrors): void {
  switch (format) {
    case 'chat': {
      checkChat(row, errors);
      return;
    }
    case 'completion': {
      checkCompletion(row, errors);
      return;
    }
    case 'preference': {
      checkPreference(row, errors);
      return;
    }
    case 'reinforcement': {
      checkReinforcement(row, errors);
      return;
    }
  }
}

function isCompletion(row: Fields): boolean {
  return !('messages' in row) && ('prompt' in row || 'completion' in row);
}

function checkChat(row: Fields, errors: RowErrors): void {
  if (isCompletion(row)) {
    errors('', row, 'a chat row with messages, as the first row is: a file holds one kind');
    return;
  }
  refuseUnknownKeys(row, CHAT_KEYS, '', errors);
  const summary = checkMessages(row['messages'], 'messages', { images: true }, errors);
  if (summary !== null && !summary.hasAssistant) {
    errors('messages', row['messages'], 'a conversation with at least one assistant message to learn from');
  }
  checkTools(row, '', errors);
}

function checkCompletion(row: Fields, errors: RowErrors): void {
  if (!isCompletion(row)) {
    errors('', row, 'a row with prompt and completion, as the first row is: a file holds one kind');
    return;
  }
  refuseUnknownKeys(row, COMPLETION_KEYS, '', errors);
  if (typeof row['prompt'] !== 'string') errors('prompt', row['prompt'], 'a string');
  if (typeof row['completion'] !== 'string') errors('completion', row['completion'], 'a string');
}

function checkPreference(row: Fields, errors: RowErrors): void {
  refuseUnknownKeys(row, PREFERENCE_KEYS, '', errors);
  const { input } = row;
  if (isFields(input)) {
    refuseUnknownKeys(input, INPUT_KEYS, 'input', errors);
    checkMessages(input['messages'], 'input.messages', { images: false }, errors);
    checkTools(input, 'input', errors);
  } else errors('input', input, 'an object with messages');
  for (const key of ['preferred_output', 'non_preferred_output']) {
    const output = row[key];
    const message: unknown = Array.isArray(output) && output.length === 1 ? output[0] : undefined;
    if (!isFields(message)) {
      errors(key, output, 'a list of exactly one assistant message');
    } else if (message['role'] !== 'assistant') {
      errors(at(`${key}[0]`, 'role'), message['role'], '"assistant"');
    } else checkMessages(output, key, { images: false }, errors);
  }
}

function checkReinforcement(row: Fields, errors: RowErrors): void {
  // Other keys are legal: graders read them as item.*.
  const summary = checkMessages(row['messages'], 'messages', { images: true }, errors);
  if (summary !== null && summary.lastRole !== 'user') {
    errors('messages', summary.lastRole, "a conversation whose last message is the user's");
  }
}
