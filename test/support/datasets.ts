/** Rows for supervised chat, every one different; `marker` is in each. */
export function chatRows(count: number, marker = ''): string {
  const rows = Array.from({ length: count }, (_, index) =>
    JSON.stringify({
      messages: [
        { role: 'system', content: `You count. ${marker}`.trim() },
        { role: 'user', content: `What is ${index} and one?` },
        { role: 'assistant', content: `${index} and one is ${index + 1}.` },
      ],
    }),
  );
  return `${rows.join('\n')}\n`;
}
