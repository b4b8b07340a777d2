import { textExample, type CheckExample } from './check-example.js';

const USER = '{"role":"user","content":"Hi"}';
const ASSISTANT = '{"role":"assistant","content":"Hello"}';
const TOOLS = '"tools":[{"type":"function","function":{"name":"look"}}]';

const call = (id: string): string => `{"id":"${id}","type":"function","function":{"name":"look","arguments":"{}"}}`;
const calling = (...calls: readonly string[]): string => `{"role":"assistant","tool_calls":[${calls.join(',')}]}`;
const answer = (id: string): string => `{"role":"tool","tool_call_id":"${id}","content":"1"}`;
const row = (messages: readonly string[], ...keys: readonly string[]): readonly string[] => [
  `{${[`"messages":[${messages.join(',')}]`, ...keys].join(',')}}`,
];
const tooled = (...messages: readonly string[]): readonly string[] => row(messages, TOOLS);

/** Of checks of tools and their calls. */
export const TOOL_EXAMPLES: readonly CheckExample[] = [
  textExample(
    'invalid_tools',
    1,
    'tools[0].function.name must be 1 to 64 letters, digits, underscores or dashes (found "look up")',
    row([USER, ASSISTANT], '"tools":[{"type":"function","function":{"name":"look up"}}]'),
  ),
  textExample(
    'invalid_parallel_tool_calls',
    1,
    'parallel_tool_calls must be true or false (found "no")',
    row([USER, ASSISTANT], '"parallel_tool_calls":"no"'),
  ),
  textExample(
    'invalid_tool_calls',
    1,
    'messages[1].tool_calls must be a non-empty list of tool calls (found an empty list)',
    tooled(USER, '{"role":"assistant","tool_calls":[]}'),
  ),
  textExample(
    'invalid_function_call',
    1,
    'messages[1].tool_calls[0].function.arguments must be the arguments as a JSON string (found an empty object)',
    tooled(
      USER,
      '{"role":"assistant","tool_calls":[{"id":"a","type":"function","function":{"name":"look","arguments":{}}}]}',
    ),
  ),
  textExample(
    'invalid_tool_message',
    1,
    'messages[1].tool_call_id must be the id of the tool call that this message answers (found nothing)',
    row([USER, '{"role":"tool","content":"1"}', ASSISTANT]),
  ),
  textExample(
    'invalid_tool_message',
    1,
    'messages[1].name must be the name of the function (found nothing)',
    row([USER, '{"role":"function","content":"1"}', ASSISTANT]),
  ),
  textExample(
    'repeated_tool_call_id',
    1,
    'messages[1].tool_calls[1].id must be an id that no other tool call of the message has (found "a")',
    tooled(USER, calling(call('a'), call('a'))),
  ),
  textExample(
    'unknown_tool_call_id',
    1,
    'messages[1].tool_call_id must be the id of a tool call of an earlier message (found "b")',
    row([USER, answer('b'), ASSISTANT]),
  ),
  textExample(
    'unanswered_tool_call',
    1,
    'messages[1].tool_calls[0].id must be answered by a tool message before the next message of another role (found "a")',
    tooled(USER, calling(call('a')), ASSISTANT),
  ),
  textExample(
    'reused_tool_call_id',
    1,
    'messages[3].tool_calls[0].id should be an id that no earlier message of the row has (found "a")',
    tooled(USER, calling(call('a')), answer('a'), calling(call('a'))),
  ),
  textExample(
    'repeated_tool_answer',
    1,
    'messages[3].tool_call_id should be the id of a tool call without an answer (found "a")',
    tooled(USER, calling(call('a')), answer('a'), answer('a'), ASSISTANT),
  ),
  textExample(
    'parallel_calls_forbidden',
    1,
    'messages[1].tool_calls should be a list of 1, because parallel_tool_calls is false (found a list of 2)',
    row([USER, calling(call('a'), call('b'))], TOOLS, '"parallel_tool_calls":false'),
  ),
  textExample(
    'undeclared_function',
    1,
    `messages[1].tool_calls[0].function.name should be the name of a function among the row's tools (found "look")`,
    row([USER, calling(call('a'))]),
  ),
];
