import type { RowFormat } from '../preflight-report.js';
import { isFields, type Fields } from '../row-errors.js';
import type { Tokenizer } from './tokenizer.js';

/** Counts the tokens of rows. */
export interface RowTokens {
  count(row: Fields, format: RowFormat): number;
}

const PER_MESSAGE = 3;
const PER_NAME = 1;
const PER_CONVERSATION = 3;

/**
 * The tokens that a row is trained on. Texts are counted exactly; what stands for roles and the ends of messages is OpenAI's
 * published rule of three tokens for a message, one for a name and three for a conversation, and tools count as their JSON.
 * Images count nothing: their tokens follow from their size in pixels.
 *
 * @see https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken (read 2026-11-23)
 */
export function createRowTokens(tokenizer: Tokenizer): RowTokens {
  const text = (value: unknown): number => (typeof value === 'string' ? tokenizer.count(value) : 0);
  const json = (value: unknown): number => {
    if (value === undefined) return 0;
    try {
      return text(JSON.stringify(value));
    } catch (error) {
      // Nested deeper than the engine can write: no schema is, and nothing of it can be counted.
      if (error instanceof RangeError) return 0;
      throw error;
    }
  };
  const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
  const content = (value: unknown): number => {
    if (typeof value === 'string') return text(value);
    let count = 0;
    for (const part of list(value)) if (isFields(part)) count += text(part['text']) + text(part['refusal']);
    return count;
  };
  const call = (value: unknown): number => (isFields(value) ? text(value['name']) + text(value['arguments']) : 0);
  const messages = (value: unknown): number => {
    let count = 0;
    for (const message of list(value)) {
      if (!isFields(message)) continue;
      count += PER_MESSAGE + text(message['role']) + content(message['content']) + text(message['refusal']);
      if (typeof message['name'] === 'string') count += PER_NAME + text(message['name']);
      for (const toolCall of list(message['tool_calls'])) if (isFields(toolCall)) count += call(toolCall['function']);
      count += call(message['function_call']) + text(message['tool_call_id']);
    }
    return count;
  };
  const conversation = (row: Fields): number =>
    PER_CONVERSATION + messages(row['messages']) + json(row['tools']) + json(row['functions']);

  return {
    count(row, format) {
      switch (format) {
        case 'completion':
          return text(row['prompt']) + text(row['completion']);
        case 'preference': {
          const input = row['input'];
          const asked = isFields(input) ? conversation(input) : 0;
          return asked + messages(row['preferred_output']) + messages(row['non_preferred_output']);
        }
        case 'chat':
        case 'reinforcement':
          return conversation(row);
      }
    },
  };
}
