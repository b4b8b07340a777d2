import { z } from 'zod';
import { describeProviderContract } from '../../../test/provider-contract.js';
import { describeUploadContract } from '../../../test/provider-upload-contract.js';
import { openai } from './index.js';
import { createOpenAIProvider } from './provider.js';

const SECRET = 'sk-contract-7f3a9c51d2e8';
const createdWith = z.looseObject({ metadata: z.record(z.string(), z.string()).nullish() });

describeProviderContract({
  definition: openai,
  settings: (emulatorsUrl) => ({ key: SECRET, baseUrl: `${emulatorsUrl}/openai/v1/` }),
  secret: SECRET,
  model: 'gpt-4o-mini-2024-07-18',
  unknownModel: 'gpt-0-imaginary',
  operations: { create: 'createFineTuningJob', get: 'retrieveFineTuningJob', upload: 'createFile' },
  carriesMarker: (body, jobId) => createdWith.parse(body).metadata?.['gateway_job_id'] === jobId,
});

describeUploadContract({
  name: 'openai',
  connect: (emulatorsUrl, uploadSizes) =>
    createOpenAIProvider({ apiKey: SECRET, baseUrl: `${emulatorsUrl}/openai/v1` }, { uploadSizes }),
  operations: {
    begin: 'createUpload',
    part: 'addUploadPart',
    complete: 'completeUpload',
    cancel: 'cancelUpload',
    whole: 'createFile',
  },
  async contentOf(emulatorsUrl, { id }) {
    const response = await fetch(`${emulatorsUrl}/openai/v1/files/${id}/content`, {
      headers: { authorization: `Bearer ${SECRET}` },
    });
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return new Uint8Array(await response.arrayBuffer());
  },
});
