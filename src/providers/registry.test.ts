import { describe, expect, it } from 'vitest';
import { createProviders } from './registry.js';

describe('the registry', () => {
  it('has each provider under its own name', () => {
    const providers = createProviders();
    expect(providers.names.map((name) => providers.get(name).name)).toEqual([...providers.names]);
    expect(providers.names).toContain('openai');
  });

  it('names those there are where one is missing', () => {
    expect(() => createProviders().get('vertex')).toThrow(
      expect.objectContaining({ code: 'unsupported_operation', message: expect.stringContaining('openai') }),
    );
  });
});
