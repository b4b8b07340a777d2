import { isDeepStrictEqual } from 'node:util';
import type { MethodType } from '../domain/job.js';
import { checkMessages, type MessageSummary } from './chat-messages.js';
import type { RowFormat } from './preflight-report.js';
import { at, isFields, refuseUnknownKeys, type Fields, type Path, type RowProblems } from './row-errors.js';
import type { RowTally } from './row-tally.js';
import { checkToolConversation, declaredFunctions } from './tool-conversation.js';
import { checkTools } from './tools.js';

const CHAT_KEYS: ReadonlySet<string> = new Set(['messages', 'tools', 'parallel_tool_calls', 'functions']);
const COMPLETION_KEYS: ReadonlySet<string> = new Set(['prompt', 'completion']);
const PREFERENCE_KEYS: ReadonlySet<string> = new Set(['input', 'preferred_output', 'non_preferred_output']);
const INPUT_KEYS: ReadonlySet<string> = new Set(['messages', 'tools', 'parallel_tool_calls']);
const OUTPUT_KEYS = ['preferred_output', 'non_preferred_output'] as const;
const MAX_ROW_IMAGES = 10;

/** The format of a file, by its method and, for supervised rows, by the shape of the first. */
export function rowFormat(method: MethodType, firstRow: Fields): RowFormat {
  if (method === 'dpo') return 'preference';
  if (method === 'reinforcement') return 'reinforcement';
  return isCompletion(firstRow) ? 'completion' : 'chat';
}

/**
 * Checks one row by OpenAI's rules, and counts what is in it.
 *
 * @see https://developers.openai.com/api/docs/guides/supervised-fine-tuning (read 2026-11-23), and the schemas
 * FineTuneChatRequestInput, FineTunePreferenceRequestInput and FineTuneReinforcementRequestInput of OpenAI's OpenAPI document.
 */
export function checkRow(row: Fields, format: RowFormat, tally: RowTally, problems: RowProblems): void {
  switch (format) {
    case 'chat':
      checkChat(row, tally, problems);
      return;
    case 'completion':
      checkCompletion(row, problems);
      return;
    case 'preference':
      checkPreference(row, tally, problems);
      return;
    case 'reinforcement':
      checkReinforcement(row, tally, problems);
      return;
  }
}

function isCompletion(row: Fields): boolean {
  return !('messages' in row) && ('prompt' in row || 'completion' in row);
}

function checkChat(row: Fields, tally: RowTally, problems: RowProblems): void {
  if (isCompletion(row)) {
    problems('mixed_formats', null, row, 'a chat row with messages, as the first row is: a file holds one kind');
    return;
  }
  refuseUnknownKeys(row, CHAT_KEYS, null, problems);
  const path = at(null, 'messages');
  const { messages } = row;
  const summary = checkMessages(messages, path, { images: true, tally }, problems);
  if (summary !== null) {
    countImages(summary, tally);
    if (summary.assistantCount === 0) {
      problems('no_assistant_message', path, messages, 'a conversation with an assistant message to learn from');
    } else if (summary.unlearnedCount === summary.assistantCount) {
      problems('nothing_to_learn', path, messages, 'a conversation with an assistant message whose weight is not 0');
    }
    if (summary.imageCount > MAX_ROW_IMAGES) {
      problems(
        'too_many_images',
        path,
        messages,
        `a conversation with at most ${MAX_ROW_IMAGES} images, not ${summary.imageCount}`,
      );
    }
    if (summary.hasTools) checkCalls(row, messages, path, false, problems);
  }
  checkTools(row, null, problems);
}

function checkCompletion(row: Fields, problems: RowProblems): void {
  if (!isCompletion(row)) {
    problems(
      'mixed_formats',
      null,
      row,
      'a row with prompt and completion, as the first row is: a file holds one kind',
    );
    return;
  }
  refuseUnknownKeys(row, COMPLETION_KEYS, null, problems);
  for (const key of COMPLETION_KEYS) {
    if (typeof row[key] !== 'string') problems('invalid_completion', at(null, key), row[key], 'a string');
  }
}

function checkPreference(row: Fields, tally: RowTally, problems: RowProblems): void {
  refuseUnknownKeys(row, PREFERENCE_KEYS, null, problems);
  const { input } = row;
  const rules = { images: false, tally };
  const fields = isFields(input) ? input : {};
  if (isFields(input)) {
    const base = at(null, 'input');
    const path = at(base, 'messages');
    const { messages } = input;
    refuseUnknownKeys(input, INPUT_KEYS, base, problems);
    const summary = checkMessages(messages, path, rules, problems);
    if (summary !== null) {
      countImages(summary, tally);
      if (summary.lastRole === 'assistant') {
        problems(
          'answered_input',
          lastRolePath(messages, path),
          summary.lastRole,
          'another role: the outputs are the answers',
        );
      }
      if (summary.hasTools) checkCalls(input, messages, path, true, problems);
    }
    checkTools(input, base, problems);
  } else problems('invalid_input', at(null, 'input'), input, 'an object with messages');

  for (const key of OUTPUT_KEYS) {
    const output = row[key];
    const path = at(null, key);
    const message: unknown = Array.isArray(output) && output.length === 1 ? output[0] : undefined;
    if (!isFields(message)) problems('invalid_output', path, output, 'a list of exactly one assistant message');
    else if (message['role'] !== 'assistant') {
      problems('invalid_output', at(at(path, 0), 'role'), message['role'], '"assistant"');
    } else {
      const summary = checkMessages(output, path, rules, problems);
      if (summary?.hasTools === true) checkCalls(fields, output, path, false, problems);
    }
  }
  const { preferred_output: preferred, non_preferred_output: other } = row;
  if (Array.isArray(preferred) && Array.isArray(other) && areEqual(preferred, other)) {
    problems('equal_outputs', at(null, 'non_preferred_output'), other, 'different from preferred_output');
  }
}

function checkReinforcement(row: Fields, tally: RowTally, problems: RowProblems): void {
  // Other keys are legal: graders read them as item.*.
  const { messages, tools } = row;
  const path = at(null, 'messages');
  const summary = checkMessages(messages, path, { images: true, tally }, problems);
  if (summary !== null) {
    countImages(summary, tally);
    if (summary.lastRole !== 'user') {
      problems(
        'last_message_not_user',
        lastRolePath(messages, path),
        summary.lastRole,
        '"user": the model answers the last message',
      );
    }
    if (summary.hasTools) checkCalls({ tools }, messages, path, false, problems);
  }
  if (tools !== undefined) checkTools({ tools }, null, problems);
}

function checkCalls(row: Fields, messages: unknown, path: Path, continues: boolean, problems: RowProblems): void {
  if (!Array.isArray(messages)) return;
  const forbidsParallel = row['parallel_tool_calls'] === false;
  checkToolConversation(messages, path, { declared: declaredFunctions(row), forbidsParallel, continues }, problems);
}

function countImages({ imageCount }: MessageSummary, tally: RowTally): void {
  if (imageCount === 0) return;
  tally.imageRowCount += 1;
  tally.imageCount += imageCount;
}

function lastRolePath(messages: unknown, path: Path): Path {
  return Array.isArray(messages) ? at(at(path, messages.length - 1), 'role') : path;
}

function areEqual(one: readonly unknown[], other: readonly unknown[]): boolean {
  try {
    return isDeepStrictEqual(one, other);
  } catch {
    // Nested deeper than the stack: what is wrong with such a row is told by other checks.
    return false;
  }
}
