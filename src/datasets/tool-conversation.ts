import { at, isFields, type Fields, type Path, type RowProblems } from './row-errors.js';

export interface ConversationRules {
  /** The names of the functions that the row declares. */
  readonly declared: ReadonlySet<string>;
  /** `parallel_tool_calls` is false. */
  readonly forbidsParallel: boolean;
  /** Whether a message of the assistant follows that is not in the list, as the outputs of preference rows do. */
  readonly continues: boolean;
}

interface OpenCall {
  readonly path: Path;
  isAnswered: boolean;
}

/**
 * Checks that calls of tools and the messages that answer them fit together. What is wrong with a single call or message is
 * told elsewhere and passed over here. Calls at the end of a conversation need no answer: they are what is learned.
 */
export function checkToolConversation(
  messages: readonly unknown[],
  base: Path,
  rules: ConversationRules,
  problems: RowProblems,
): void {
  const calls = new Map<string, OpenCall>();
  let pending: Map<string, OpenCall> = new Map();
  const endTurn = (): void => {
    for (const [id, call] of pending) {
      if (!call.isAnswered) {
        problems(
          'unanswered_tool_call',
          call.path,
          id,
          'answered by a tool message before the next message of another role',
        );
      }
    }
    pending = new Map();
  };

  for (let index = 0; index < messages.length; index += 1) {
    const message = messages[index];
    if (!isFields(message)) continue;
    const path = at(base, index);
    if (message['role'] === 'tool') {
      checkAnswer(message, path, calls, problems);
      continue;
    }
    endTurn();
    if (message['role'] !== 'assistant') continue;
    pending = openCalls(message, path, rules, problems);
    for (const [id, call] of pending) {
      if (calls.has(id)) problems('reused_tool_call_id', call.path, id, 'an id that no earlier message of the row has');
      calls.set(id, call);
    }
  }
  if (rules.continues) endTurn();
}

function checkAnswer(message: Fields, path: Path, calls: ReadonlyMap<string, OpenCall>, problems: RowProblems): void {
  const id = message['tool_call_id'];
  if (typeof id !== 'string' || id === '') return;
  const call = calls.get(id);
  if (call === undefined) {
    problems('unknown_tool_call_id', at(path, 'tool_call_id'), id, 'the id of a tool call of an earlier message');
  } else if (call.isAnswered) {
    problems('repeated_tool_answer', at(path, 'tool_call_id'), id, 'the id of a tool call without an answer');
  } else call.isAnswered = true;
}

function openCalls(
  message: Fields,
  path: Path,
  rules: ConversationRules,
  problems: RowProblems,
): Map<string, OpenCall> {
  const opened = new Map<string, OpenCall>();
  const called = message['function_call'];
  if (isFields(called)) checkDeclared(called, at(path, 'function_call'), rules, problems);
  const toolCalls = message['tool_calls'];
  if (!Array.isArray(toolCalls)) return opened;
  const list = at(path, 'tool_calls');
  if (rules.forbidsParallel && toolCalls.length > 1) {
    problems('parallel_calls_forbidden', list, toolCalls, 'a list of 1, because parallel_tool_calls is false');
  }
  for (let index = 0; index < toolCalls.length; index += 1) {
    const call: unknown = toolCalls[index];
    if (!isFields(call)) continue;
    const step = at(list, index);
    const id = call['id'];
    if (isFields(call['function'])) checkDeclared(call['function'], at(step, 'function'), rules, problems);
    if (typeof id !== 'string' || id === '') continue;
    if (opened.has(id)) {
      problems('repeated_tool_call_id', at(step, 'id'), id, 'an id that no other tool call of the message has');
    } else opened.set(id, { path: at(step, 'id'), isAnswered: false });
  }
  return opened;
}

function checkDeclared(called: Fields, path: Path, rules: ConversationRules, problems: RowProblems): void {
  const { name } = called;
  if (typeof name === 'string' && name !== '' && !rules.declared.has(name)) {
    problems('undeclared_function', at(path, 'name'), name, "the name of a function among the row's tools");
  }
}

/** The names that `tools` and the older `functions` declare. */
export function declaredFunctions({ tools, functions }: Fields): ReadonlySet<string> {
  const names = new Set<string>();
  const declare = (definition: unknown): void => {
    if (isFields(definition) && typeof definition['name'] === 'string') names.add(definition['name']);
  };
  if (Array.isArray(tools)) for (const tool of tools) if (isFields(tool)) declare(tool['function']);
  if (Array.isArray(functions)) for (const definition of functions) declare(definition);
  return names;
}
