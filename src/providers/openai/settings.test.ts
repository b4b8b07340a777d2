import { describe, expect, it } from 'vitest';
import { openaiJobOptions, openaiOptionHeaders, openaiSettings } from './settings.js';

const issuesOf = (input: unknown): string[] =>
  (openaiSettings.safeParse(input).error?.issues ?? []).map((issue) => `${issue.path.join('.')}: ${issue.message}`);

describe('OpenAI’s settings', () => {
  it('take Portkey’s spelling and ours, and come out the same', () => {
    const normal = {
      apiKey: 'sk-1',
      baseUrl: 'https://proxy.example/v1',
      organization: 'org-1',
      project: 'proj_1',
      beta: 'assistants=v2',
    };
    const portkey = {
      key: 'sk-1',
      customHost: 'https://proxy.example/v1/',
      openaiOrganization: 'org-1',
      openai_project: 'proj_1',
      openaiBeta: 'assistants=v2',
    };
    expect(openaiSettings.parse(normal)).toEqual(normal);
    expect(openaiSettings.parse(portkey)).toEqual(normal);
  });

  it('take empty strings and nulls for absent', () => {
    expect(openaiSettings.parse({ key: 'sk-1', baseUrl: '', organization: null, apiKey: '' })).toEqual({
      apiKey: 'sk-1',
    });
  });

  it('take a key with its scheme, as the authorization option carries it', () => {
    expect(openaiOptionHeaders.authorization).toBe('apiKey');
    expect(openaiSettings.parse({ apiKey: 'Bearer sk-1' })).toEqual({ apiKey: 'sk-1' });
  });

  it('refuse what is missing, unknown, contradictory or unfit for a header, without the key in the message', () => {
    expect(issuesOf({})).toEqual(['apiKey: is required (Portkey calls it `key`)']);
    expect(issuesOf({ key: 'sk-1', region: 'eu' })).toEqual([expect.stringContaining('region')]);
    expect(issuesOf({ key: 'sk-1', apiKey: 'sk-2' })).toEqual(['apiKey: contradicts key']);
    expect(issuesOf({ key: 'sk-secret\nx' })).toEqual(['key: must be printable ASCII without spaces']);
    expect(issuesOf({ key: 'sk-1', baseUrl: 'ftp://a' })).toEqual(['baseUrl: must be an http or https address']);
    expect(issuesOf({ key: 'sk-1', baseUrl: 'https://u:p@a/' })).toEqual([
      'baseUrl: must have no credentials, query or fragment',
    ]);
    expect(issuesOf({ key: 7 })).toHaveLength(1);
  });

  it('knows no job options', () => {
    expect(openaiJobOptions.safeParse({}).success).toBe(true);
    expect(openaiJobOptions.safeParse({ role_arn: 'x' }).error?.issues[0]).toMatchObject({ keys: ['role_arn'] });
  });
});
