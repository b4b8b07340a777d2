// A dataset like those people bring, the same for the same seed. Chat rows of 2 to 8 messages. Words are drawn by Zipf's law
// from a vocabulary of 50,000 that is made of syllables, the frequent ones short; of the texts about two thirds are prose
// with capitals, punctuation, contractions and numbers, the rest code, JSON, Markdown lists, and prose in German, Russian
// and Chinese letters with emoji. Some rows define and call tools. Every row is legal by OpenAI's rules.

const VOCABULARY = 50_000;
// With it the first thousand words are 74 percent of a text, and the first ten thousand 90, about as in English.
const ZIPF_EXPONENT = 1.07;
const ENGLISH =
  'the of and to in a is that for it as was with be by on not he his but at are this have from or had an they which you were her all she there would their we him been has when who will more no if out so said what up its about into than them can only other new some could time these two may then do first any my now such like our over man me even most made after also did many before must through back years where much your way well down should because each just those people how too little state good very make world still own see men work long get here between both life being under never day same another know while last might us great old year off come since against go came right used take three'.split(
    ' ',
  );
const ONSETS =
  'b c d f g h j k l m n p r s t v w st tr pr pl ch sh th br cr gr cl fl sp con re in de un ex com pro inter over'.split(
    ' ',
  );
const VOWELS = 'a e i o u ai ea ou io ee'.split(' ');
const CODAS = [
  '',
  '',
  '',
  'n',
  'r',
  's',
  't',
  'l',
  'd',
  'ng',
  'ck',
  'st',
  'tion',
  'ment',
  'able',
  'ing',
  'ed',
  'er',
  'ly',
];
const GERMAN = 'für über schön Größe möglich können natürlich Straße während Lösung erklären häufig'.split(' ');
const RUSSIAN = 'это как для что время может быть нужно который данные модель ответ пример работа также если'.split(
  ' ',
);
const CHINESE =
  '的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面';
const EMOJI = ['😀', '🎉', '👍', '🚀', '❤️', '👩‍💻'];

/** Makes rows, as lines without a newline. */
export function createRowGenerator(seed) {
  const random = createRandom(seed);
  const below = (limit) => Math.floor(random() * limit);
  const pick = (list) => list[below(list.length)];
  const words = vocabulary(pick, below);
  const zipf = zipfSampler(VOCABULARY, random);
  const word = () => words[zipf()];

  const sentence = (nextWord) => {
    const parts = [];
    const count = 4 + below(18);
    for (let index = 0; index < count; index += 1) {
      const kind = below(100);
      let part = nextWord();
      if (kind < 2) part = String(below(10 ** (1 + below(6))));
      else if (kind < 4) part = `${part}'${pick(['s', 't', 're', 've', 'll'])}`;
      else if (kind < 5) part = `(${part}`.concat(')');
      else if (kind < 6) part = `"${part}"`;
      else if (kind < 8) part = capital(part);
      parts.push(index < count - 1 && below(9) === 0 ? `${part},` : part);
    }
    return capital(parts.join(' ')) + pick(['.', '.', '.', '?', '!', ':']);
  };
  const prose = (nextWord = word) =>
    Array.from({ length: 1 + below(6) }, () => sentence(nextWord)).join(below(4) === 0 ? '\n\n' : ' ');
  const identifier = () => word() + capital(word());
  const code = () =>
    Array.from({ length: 3 + below(8) }, () =>
      pick([
        () =>
          `function ${identifier()}(${word()}, ${word()}) {\n    return ${word()}.${identifier()}(${below(1000)});\n}`,
        () => `    if (${identifier()} !== null && ${word()}[${below(20)}] >= 0x${below(65536).toString(16)}) {`,
        () => `\tself.${word()}_${word()} = ${word()}.get("${word()}", [])  # ${word()} ${word()}`,
        () => `import { ${identifier()} } from './${word()}/${word()}.js';`,
        () => `SELECT ${word()}, COUNT(*) FROM ${word()}s WHERE ${word()}_id = ${below(100000)} ORDER BY 1;`,
      ])(),
    ).join('\n');
  const json = () =>
    JSON.stringify(
      {
        [word()]: word(),
        id: below(2 ** 31),
        [`${word()}_${word()}`]: [random(), below(100), word()],
        text: sentence(word),
      },
      null,
      below(2) * 2,
    );
  const list = () =>
    Array.from({ length: 3 + below(5) }, (_, index) => `${index + 1}. **${capital(word())}**: ${sentence(word)}`).join(
      '\n',
    );
  const foreign = () =>
    pick([
      () => prose(() => (below(3) === 0 ? pick(GERMAN) : word())),
      () => prose(() => pick(RUSSIAN)),
      () => Array.from({ length: 20 + below(80) }, () => pick(CHINESE) + (below(12) === 0 ? '，' : '')).join('') + '。',
      () => `${sentence(word)} ${pick(EMOJI)}`,
    ])();
  const text = () => {
    const kind = below(100);
    return kind < 66 ? prose() : kind < 76 ? code() : kind < 83 ? json() : kind < 90 ? list() : foreign();
  };
  const callMessages = (index) => {
    const id = `call_${index}${below(2 ** 31).toString(36)}`;
    const call = { id, type: 'function', function: { name: 'lookup', arguments: JSON.stringify({ query: word() }) } };
    return [
      { role: 'assistant', content: null, tool_calls: [call] },
      { role: 'tool', tool_call_id: id, content: json() },
    ];
  };
  const tool = () => ({
    type: 'function',
    function: {
      name: 'lookup',
      description: sentence(word),
      parameters: { type: 'object', properties: { query: { type: 'string', description: sentence(word) } } },
    },
  });

  return () => {
    const usesTools = below(10) === 0;
    const messages = [{ role: 'system', content: 'You are a helpful assistant that answers briefly and truthfully.' }];
    const turns = 1 + below(4);
    for (let turn = 0; turn < turns; turn += 1) {
      messages.push({ role: 'user', content: text() });
      if (usesTools) messages.push(...callMessages(turn));
      messages.push({ role: 'assistant', content: text() });
    }
    return JSON.stringify(usesTools ? { messages, tools: [tool()] } : { messages });
  };
}

function vocabulary(pick, below) {
  const words = new Set(ENGLISH);
  while (words.size < VOCABULARY) {
    const syllables = 1 + below(words.size < 3_000 ? 2 : 3);
    let made = '';
    for (let index = 0; index < syllables; index += 1) made += pick(ONSETS) + pick(VOWELS);
    words.add(made + pick(CODAS));
  }
  return [...words];
}

/** Index n with a probability in proportion to 1 / (n + 1) ** ZIPF_EXPONENT. */
function zipfSampler(size, random) {
  const sums = new Float64Array(size);
  let sum = 0;
  for (let index = 0; index < size; index += 1) sums[index] = sum += 1 / (index + 1) ** ZIPF_EXPONENT;
  return () => {
    const wanted = random() * sum;
    let low = 0;
    let high = size - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (sums[middle] < wanted) low = middle + 1;
      else high = middle;
    }
    return low;
  };
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** mulberry32 */
function createRandom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
