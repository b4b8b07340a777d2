/** An error stops a job before it costs anything; a warning is told, and the job goes on. */
export type Severity = 'error' | 'warning';

export interface Check {
  /** What a row or file must be, in one sentence. */
  readonly description: string;
  readonly severity: Severity;
}

const error = (description: string): Check => ({ severity: 'error', description });
const warning = (description: string): Check => ({ severity: 'warning', description });

/**
 * All that preflight looks for, in the order of `docs/datasets.md`. What OpenAI's documents do not refuse is a warning at
 * most.
 *
 * @see https://developers.openai.com/api/docs/guides/supervised-fine-tuning, vision-fine-tuning,
 * direct-preference-optimization and reinforcement-fine-tuning (read 2026-11-23), and the schemas FineTuneChatRequestInput,
 * FineTunePreferenceRequestInput and FineTuneReinforcementRequestInput of OpenAI's OpenAPI document.
 */
export const CHECKS = {
  // The file as a whole.
  empty_file: error('The file has at least one row.'),
  gzip_archive: error('The file is not compressed with gzip.'),
  zip_archive: error('The file is not a zip archive, which .xlsx and .docx files also are.'),
  other_archive: error('The file is not a bzip2, xz, Zstandard, LZ4, 7z or rar archive.'),
  parquet_file: error('The file is not a Parquet file.'),
  arrow_file: error('The file is not an Arrow or Feather file.'),
  pdf_document: error('The file is not a PDF document.'),
  markup_document: error('The file is not HTML or XML, such as a page that says why a download failed.'),
  wide_encoding: error('The file is UTF-8, not UTF-16 or UTF-32.'),
  json_array: error('The file is not one JSON list: each row has its own line, without brackets and commas around it.'),
  pretty_printed_json: error('A JSON object is on one line, not spread over several.'),
  delimited_table: error('The file is not a table with columns (CSV, TSV).'),
  too_few_rows: error('The file has as many rows as the provider asks for: at OpenAI 10 for training.'),
  too_many_rows: error('The file has no more rows than are allowed here. Reading stops at the limit.'),
  too_many_image_rows: error('At most 50,000 rows have images.'),
  duplicate_rows: warning('No row is byte for byte equal to an earlier one.'),

  // One line.
  byte_order_mark: warning('The file does not begin with a byte order mark. Where it does, the mark is skipped.'),
  line_too_long: error('A line is at most 16 MiB long; the limit can be configured.'),
  invalid_utf8: error('A line is valid UTF-8.'),
  nul_byte: error('A line has no NUL bytes.'),
  blank_line: error('Only the end of the file may have blank lines.'),
  invalid_json: error('A line is valid JSON.'),
  truncated_line: error('The last line is complete: the file was not cut off.'),
  not_an_object: error('A row is a JSON object.'),
  duplicate_key: error(
    'A key stands once in its object, anywhere in the row: parsers keep one value and drop the others.',
  ),
  number_out_of_range: error('A number is finite when it is read as a double: not 1e999.'),
  inexact_integer: warning(
    'An integer is exact when it is read as a double: beyond 2^53 most change their last digits.',
  ),
  lone_surrogate: warning('An escape such as \\ud83d stands with its other half: alone it is no character.'),

  // Rows of every format.
  mixed_formats: error('All rows have the format of the first: chat or completion.'),
  unknown_key: error('Rows, messages and what is in them have only keys that the format knows.'),

  // Messages.
  no_messages: error('A row has a list of messages that is not empty.'),
  invalid_message: error('A message is an object.'),
  unknown_role: error('A role is one of system, developer, user, assistant, tool and function.'),
  no_assistant_message: error('A chat row has an assistant message to learn from.'),
  nothing_to_learn: error('Not all assistant messages of a row have weight 0.'),
  invalid_content: error(
    'The content of a message is a string or a list of parts; it may be absent beside tool calls.',
  ),
  invalid_content_part: error(
    'A part of a content is text, in user messages also an image, in assistant ones a refusal.',
  ),
  invalid_name: error('The name of an author is a string.'),
  invalid_weight: error('A weight is 0 or 1.'),
  misplaced_weight: error('Only assistant messages have a weight.'),
  invalid_refusal: error('A refusal is a string or null.'),
  audio: error('No message has audio.'),

  // Tools.
  invalid_tools: error(
    'Tools are a list of functions with a legal name, and a JSON schema where they have parameters.',
  ),
  invalid_parallel_tool_calls: error('parallel_tool_calls is true or false.'),
  invalid_tool_calls: error('Tool calls are a list that is not empty; each has an id, type and function.'),
  invalid_function_call: error('A function call has a name, and its arguments as a string.'),
  invalid_tool_message: error('A tool message has the tool_call_id that it answers, a function message the name.'),
  repeated_tool_call_id: error('The tool calls of one message have different ids.'),
  unknown_tool_call_id: error('A tool message answers a tool call of an earlier assistant message.'),
  unanswered_tool_call: error(
    'All tool calls of a message are answered before the next message that is not a tool message.',
  ),
  reused_tool_call_id: warning('No later message of a row uses the id of a tool call again.'),
  repeated_tool_answer: warning('A tool call is answered once.'),
  parallel_calls_forbidden: warning('No message has several tool calls where parallel_tool_calls is false.'),
  undeclared_function: warning('A call names a function that tools, or functions, declares.'),

  // Images.
  misplaced_image: error('Only user messages have images, and no messages of preference rows do.'),
  invalid_image: error('An image has an http(s) address or a data: URL of an image, and a known detail.'),
  too_many_images: error('A supervised row has at most 10 images.'),
  skipped_image_format: warning('A data: URL is a JPEG, PNG or WEBP image in base64: OpenAI skips others.'),
  skipped_image_size: warning('An image has at most 10 MB: OpenAI skips larger ones.'),

  // Completion, preference and reinforcement rows.
  invalid_completion: error('A completion row has prompt and completion, both strings.'),
  invalid_input: error('A preference row has input, an object.'),
  invalid_output: error('preferred_output and non_preferred_output are each a list of exactly one assistant message.'),
  equal_outputs: warning('The preferred and the other output differ.'),
  answered_input: warning("The messages of a preference row's input do not end with an assistant message."),
  last_message_not_user: error("The last message of a reinforcement row is the user's."),

  over_token_limit: warning('A row has no more tokens than the model trains on: OpenAI cuts what is beyond.'),
} as const satisfies Readonly<Record<string, Check>>;

/** The name of a check, as reports and `docs/datasets.md` have it. */
export type CheckName = keyof typeof CHECKS;
