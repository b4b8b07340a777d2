import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { MethodType } from './create-request.js';
import { isObject } from './schema-check.js';

export interface JobFailure {
  code: string;
  message: string;
  param: string | null;
}

export interface DatasetInspection {
  rows: number;
  tokens: number;
  /** The first row that OpenAI would refuse. */
  problem: { line: number; reason: string } | null;
}

export type RowFormat = MethodType | 'completion';

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'];
const CHAT_KEYS = ['messages', 'tools', 'functions', 'parallel_tool_calls'];

function unexpectedKey(row: Record<string, unknown>, allowed: readonly string[]): string | undefined {
  const key = Object.keys(row).find((name) => !allowed.includes(name));
  return key === undefined ? undefined : `Extra key '${key}' is not permitted`;
}

function messagesProblem(messages: unknown): string | undefined {
  if (!Array.isArray(messages)) return "'messages' must be a list";
  if (messages.length === 0) return "'messages' must not be empty";
  for (const [index, message] of messages.entries()) {
    const at = `messages[${String(index)}]`;
    if (!isObject(message)) return `${at} must be an object`;
    const role = message['role'];
    if (typeof role !== 'string' || !ROLES.includes(role)) return `${at} has an invalid role`;
    const calls =
      role === 'assistant' && (message['tool_calls'] !== undefined || message['function_call'] !== undefined);
    const { content } = message;
    if (typeof content !== 'string' && !Array.isArray(content) && !calls) return `${at} is missing content`;
    const { weight } = message;
    if (weight !== undefined && (role !== 'assistant' || (weight !== 0 && weight !== 1))) {
      return `${at} has an invalid weight`;
    }
  }
  return undefined;
}

const isAssistant = (message: unknown) => isObject(message) && message['role'] === 'assistant';

function outputProblem(row: Record<string, unknown>, name: string): string | undefined {
  const output = row[name];
  if (!Array.isArray(output) || output.length !== 1) return `'${name}' must hold exactly one message`;
  return isAssistant(output[0]) ? messagesProblem(output) : `'${name}' must be an assistant message`;
}

function rowProblem(row: unknown, format: RowFormat): string | undefined {
  if (!isObject(row)) return 'the example is not a JSON object';
  switch (format) {
    case 'completion': {
      const extra = unexpectedKey(row, ['prompt', 'completion']);
      if (extra !== undefined) return extra;
      const complete = typeof row['prompt'] === 'string' && typeof row['completion'] === 'string';
      return complete ? undefined : "'prompt' and 'completion' must be strings";
    }
    case 'dpo': {
      const { input } = row;
      const extra = unexpectedKey(row, ['input', 'preferred_output', 'non_preferred_output']);
      if (extra !== undefined) return extra;
      if (!isObject(input)) return "'input' must be an object";
      return (
        unexpectedKey(input, CHAT_KEYS) ??
        messagesProblem(input['messages']) ??
        outputProblem(row, 'preferred_output') ??
        outputProblem(row, 'non_preferred_output')
      );
    }
    case 'reinforcement': {
      const { messages } = row;
      const problem = messagesProblem(messages);
      if (problem !== undefined) return problem;
      const last: unknown = Array.isArray(messages) ? messages.at(-1) : undefined;
      return isObject(last) && last['role'] === 'user' ? undefined : 'the last message must have the role user';
    }
    case 'supervised': {
      const { messages } = row;
      const problem = unexpectedKey(row, CHAT_KEYS) ?? messagesProblem(messages);
      if (problem !== undefined) return problem;
      const teaches = Array.isArray(messages) && messages.some(isAssistant);
      return teaches ? undefined : 'the example must contain at least one message from the assistant';
    }
  }
}

// About four characters a token; the emulator has no tokenizer.
const tokensOf = (line: string) => Math.max(1, Math.round(line.length / 4));

/** Reads a dataset once, line by line, as OpenAI's validation does: counts rows and finds the first bad one. */
export async function inspectDataset(content: Readable, format: RowFormat): Promise<DatasetInspection> {
  const inspection: DatasetInspection = { rows: 0, tokens: 0, problem: null };
  let line = 0;
  for await (const text of createInterface({ input: content, crlfDelay: Infinity })) {
    line += 1;
    if (text.trim() === '') continue;
    inspection.rows += 1;
    inspection.tokens += tokensOf(text);
    if (inspection.problem !== null) continue;
    let reason: string | undefined;
    try {
      reason = rowProblem(JSON.parse(text), format);
    } catch {
      reason = 'the example is not valid JSON';
    }
    if (reason !== undefined) inspection.problem = { line, reason };
  }
  return inspection;
}

const MINIMUM_ROWS = 10;

/** What makes OpenAI fail a job while it validates this file, or null. */
export function failureOf(
  inspection: DatasetInspection,
  param: 'training_file' | 'validation_file',
): JobFailure | null {
  const name = param === 'training_file' ? 'training file' : 'validation file';
  if (inspection.problem !== null) {
    const { line, reason } = inspection.problem;
    return {
      code: 'invalid_file_format',
      message: `The job failed due to an invalid ${name}. Invalid file format. Example ${String(line)}: ${reason}.`,
      param,
    };
  }
  if (param === 'training_file' && inspection.rows < MINIMUM_ROWS) {
    return {
      code: 'invalid_n_examples',
      message: `Training file has ${String(inspection.rows)} example(s), but must have at least ${String(MINIMUM_ROWS)} examples`,
      param,
    };
  }
  return null;
}
