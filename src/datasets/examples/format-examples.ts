import { contentExample, textExample, type CheckExample } from './check-example.js';

const INPUT = '"input":{"messages":[{"role":"user","content":"Hi"}]}';
const GOOD = '[{"role":"assistant","content":"Hello"}]';
const BAD = '[{"role":"assistant","content":"What?"}]';
const DPO = { method: 'dpo' } as const;

const preference = (input: string, preferred: string, other: string): readonly string[] => [
  `{${input},"preferred_output":${preferred},"non_preferred_output":${other}}`,
];

/** Of checks of completion, preference and reinforcement rows, and of their tokens. */
export const FORMAT_EXAMPLES: readonly CheckExample[] = [
  textExample('invalid_completion', 1, 'completion must be a string (found nothing)', ['{"prompt":"Good morning"}']),
  textExample(
    'invalid_input',
    1,
    'input must be an object with messages (found "Hi")',
    preference('"input":"Hi"', GOOD, BAD),
    DPO,
  ),
  textExample(
    'invalid_output',
    1,
    'preferred_output must be a list of exactly one assistant message (found "Hello")',
    preference(INPUT, '"Hello"', BAD),
    DPO,
  ),
  textExample(
    'invalid_output',
    1,
    'non_preferred_output[0].role must be "assistant" (found "user")',
    preference(INPUT, GOOD, '[{"role":"user","content":"What?"}]'),
    DPO,
  ),
  textExample(
    'equal_outputs',
    1,
    'non_preferred_output should be different from preferred_output (found a list of 1)',
    preference(INPUT, GOOD, GOOD),
    DPO,
  ),
  textExample(
    'answered_input',
    1,
    'input.messages[0].role should be another role: the outputs are the answers (found "assistant")',
    preference(`"input":{"messages":${BAD}}`, GOOD, BAD),
    DPO,
  ),
  textExample(
    'last_message_not_user',
    1,
    'messages[1].role must be "user": the model answers the last message (found "assistant")',
    ['{"messages":[{"role":"user","content":"2+2?"},{"role":"assistant","content":"4"}]}'],
    {
      method: 'reinforcement',
    },
  ),
  contentExample(
    'over_token_limit',
    1,
    'the row should have at most 16385 tokens: the model does not train on what is beyond',
    {
      // Made when it is asked for: it is long.
      get lines() {
        return [`{"prompt":"${'one two '.repeat(10_000)}","completion":"three"}`];
      },
    },
    { options: { minimumRows: 1, model: 'gpt-3.5-turbo' } },
  ),
];
