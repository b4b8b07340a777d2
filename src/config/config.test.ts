import { describe, expect, test } from 'vitest';
import { loadConfig } from './config.js';

describe('a number', () => {
  test.each([
    ['POLL_INTERVAL_SCALE', '-1', 'must be greater than 0'],
    ['POLL_INTERVAL_SCALE', '0', 'must be greater than 0'],
    ['POLL_INTERVAL_SCALE', 'fast', 'must be a number'],
    ['POLL_INTERVAL_SCALE', '101', 'must be at most 100'],
    ['ACTIVITY_TIMEOUT_SCALE', '-0.5', 'must be greater than 0'],
    ['PROVIDER_ACTIVITIES_PER_SECOND', '0', 'must be greater than 0'],
    ['MAX_FILE_BYTES', '-1', 'must be greater than 0'],
    ['MAX_FILE_BYTES', '1.5', 'must be a whole number'],
    ['MAX_FILE_BYTES', 'much', 'must be a number of bytes'],
    ['PORT', '-1', 'must be from 0 to 65535'],
    ['PORT', '65536', 'must be from 0 to 65535'],
    ['PORT', '1.5', 'must be a whole number'],
    ['PORT', 'http', 'must be a port number'],
  ])('%s=%s says that it %s', (name, value, message) => {
    expect(() => loadConfig('up', { [name]: value })).toThrow(`${name}: ${message} (it is "${value}")`);
  });

  test('in its bounds is taken', () => {
    const { config } = loadConfig('up', { POLL_INTERVAL_SCALE: '0.01', PORT: '0', MAX_FILE_BYTES: '1' });
    expect(config).toMatchObject({ pollIntervalScale: 0.01, port: 0, maxFileBytes: 1 });
  });
});
