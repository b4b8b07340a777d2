import { z } from 'zod';

// Jobs, events, checkpoints and files are the dialect's; these are OpenAI's alone.
export { checkpointReply, eventReply, fileReply, jobReply } from '../shared/openai-fine-tuning.js';
export type { FileReply, JobReply } from '../shared/openai-fine-tuning.js';

/** `shutdown_date` is `YYYY-MM-DD` where OpenAI has announced one. */
export const modelReply = z.looseObject({ id: z.string(), shutdown_date: z.string().nullish() });
export type ModelReply = z.infer<typeof modelReply>;

export const deletedReply = z.looseObject({ id: z.string().nullish() });
