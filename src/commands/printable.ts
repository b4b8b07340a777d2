/** Text of others on one line of a terminal: nothing in it that the terminal would obey, or that would turn it round. */
export function printable(text: string): string {
  return text.replace(/[\p{Control}\p{Surrogate}\p{Line_Separator}\p{Paragraph_Separator}\p{Bidi_Control}]/gu, '?');
}
