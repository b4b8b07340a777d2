import { contentExample, textExample, type CheckExample } from './check-example.js';

const USER = '{"role":"user","content":"Hi"}';
const ASSISTANT = '{"role":"assistant","content":"Hello"}';
const LEGAL_IMAGE_BYTES = 10 * 1024 * 1024;

const chat = (...messages: readonly string[]): readonly string[] => [`{"messages":[${messages.join(',')}]}`];
const image = (fields: string): string => `{"type":"image_url","image_url":{${fields}}}`;
const seen = (...images: readonly string[]): readonly string[] =>
  chat(`{"role":"user","content":[${images.join(',')}]}`, ASSISTANT);

/** Of checks of messages, and of the images in them. */
export const MESSAGE_EXAMPLES: readonly CheckExample[] = [
  textExample('no_messages', 1, 'messages must be a non-empty list of messages (found an empty list)', [
    '{"messages":[]}',
  ]),
  textExample(
    'invalid_message',
    1,
    'messages[0] must be an object with role and content (found "Hi")',
    chat('"Hi"', ASSISTANT),
  ),
  textExample(
    'unknown_role',
    1,
    'messages[1].role must be one of system, developer, user, assistant, tool, function (found "assistent")',
    chat(USER, '{"role":"assistent","content":"Hello"}', ASSISTANT),
  ),
  textExample(
    'no_assistant_message',
    1,
    'messages must be a conversation with an assistant message to learn from (found a list of 1)',
    chat(USER),
  ),
  textExample(
    'nothing_to_learn',
    1,
    'messages must be a conversation with an assistant message whose weight is not 0 (found a list of 2)',
    chat(USER, '{"role":"assistant","content":"Hello","weight":0}'),
  ),
  textExample(
    'invalid_content',
    1,
    'messages[0].content must be a string or a non-empty list of content parts (found 7)',
    chat('{"role":"user","content":7}', ASSISTANT),
  ),
  textExample(
    'invalid_content',
    1,
    'messages[1].content must be a string, or null beside tool_calls or function_call (found null)',
    chat(USER, '{"role":"assistant","content":null}'),
  ),
  textExample(
    'invalid_content_part',
    1,
    'messages[0].content[0].type must be text or image_url (found "input_text")',
    chat('{"role":"user","content":[{"type":"input_text","text":"Hi"}]}', ASSISTANT),
  ),
  textExample(
    'invalid_content_part',
    1,
    'messages[0].content[0] must be a content part, an object with type (found "Hi")',
    chat('{"role":"user","content":["Hi"]}', ASSISTANT),
  ),
  textExample(
    'invalid_name',
    1,
    'messages[0].name must be a string (found 7)',
    chat('{"role":"user","content":"Hi","name":7}', ASSISTANT),
  ),
  textExample(
    'invalid_weight',
    1,
    'messages[1].weight must be 0 or 1 (found 0.5)',
    chat(USER, '{"role":"assistant","content":"Hello","weight":0.5}'),
  ),
  textExample(
    'misplaced_weight',
    1,
    'messages[0].weight must be absent: only assistant messages have a weight (found 1)',
    chat('{"role":"user","content":"Hi","weight":1}', ASSISTANT),
  ),
  textExample(
    'invalid_refusal',
    1,
    'messages[1].refusal must be a string or null (found false)',
    chat(USER, '{"role":"assistant","content":"Hello","refusal":false}'),
  ),
  textExample(
    'audio',
    1,
    'messages[1].audio must be absent or null (found an object with id)',
    chat(USER, '{"role":"assistant","content":"Hello","audio":{"id":"audio_1"}}'),
  ),
  textExample(
    'misplaced_image',
    1,
    'messages[0].content[0].type must be text: only user messages have images (found "image_url")',
    chat(`{"role":"system","content":[${image('"url":"https://example.com/a.png"')}]}`, ASSISTANT),
  ),
  textExample(
    'invalid_image',
    1,
    'messages[0].content[0].image_url.url must be an http(s) address or a data: URL of an image (found "file:///a.png")',
    seen(image('"url":"file:///a.png"')),
  ),
  textExample(
    'invalid_image',
    1,
    'messages[0].content[0].image_url.detail must be auto, low or high (found "medium")',
    seen(image('"url":"https://example.com/a.png","detail":"medium"')),
  ),
  textExample(
    'too_many_images',
    1,
    'messages must be a conversation with at most 10 images, not 11 (found a list of 2)',
    seen(...Array.from({ length: 11 }, (_, index) => image(`"url":"https://example.com/${index}.png"`))),
  ),
  textExample(
    'skipped_image_format',
    1,
    'messages[0].content[0].image_url.url should be a JPEG, PNG or WEBP image in base64, or it is skipped (found a string of 30 characters)',
    seen(image('"url":"data:image/gif;base64,R0lGODlh"')),
  ),
  contentExample(
    'skipped_image_size',
    1,
    'messages[0].content[0].image_url.url should be an image of at most 10 MB, or it is skipped (found a string of 13981038 characters)',
    {
      // Made when it is asked for: it is some megabytes.
      get lines() {
        const base64 = 'A'.repeat(4 * Math.ceil((LEGAL_IMAGE_BYTES + 1) / 3));
        return seen(image(`"url":"data:image/png;base64,${base64}"`));
      },
    },
  ),
];
