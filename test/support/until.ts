import { setTimeout as pause } from 'node:timers/promises';

export interface UntilOptions {
  /** 60 s where not given. */
  readonly deadlineMs?: number;
  /** Between two looks; 50 ms where not given. */
  readonly everyMs?: number;
}

/**
 * Waits until a probe answers something other than undefined, null or false, and answers that. A probe that throws has
 * not answered yet; after the deadline the failure says what was waited for, and what was seen last.
 */
export async function until<Answer>(
  what: string,
  probe: () => Answer | Promise<Answer>,
  options: UntilOptions = {},
): Promise<Exclude<Answer, undefined | null | false>> {
  const { deadlineMs = 60_000, everyMs = 50 } = options;
  const startedAtMs = performance.now();
  let last: unknown = undefined;
  for (;;) {
    try {
      const answer = await probe();
      if (isAnswer(answer)) return answer;
      last = answer;
    } catch (error) {
      last = error;
    }
    if (performance.now() - startedAtMs > deadlineMs) {
      const seen = last instanceof Error ? (last.stack ?? last.message) : JSON.stringify(last);
      throw new Error(`Waited ${deadlineMs} ms for: ${what}. Last seen: ${seen}`);
    }
    await pause(everyMs);
  }
}

function isAnswer<Answer>(answer: Answer): answer is Exclude<Answer, undefined | null | false> {
  return answer !== undefined && answer !== null && answer !== false;
}
