import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createVault, newMasterKey, parseMasterKey } from './vault.js';

const context = { kind: 'virtual-key', rowId: 'vk_1', workspaceId: 'ws_1' };

describe('sealing', () => {
  const masterKey = randomBytes(32);
  const vault = createVault(masterKey);

  test('a sealed value opens to what it was, and does not contain it', () => {
    const value = { key: 'sk-canary-1234567890', nested: [1, null, 'ü'] };
    const sealed = vault.seal(value, context);
    expect(vault.open(sealed, context)).toEqual(value);
    expect(sealed.includes('canary')).toBe(false);
  });

  test('the same value is sealed differently each time', () => {
    expect(vault.seal('x', context).equals(vault.seal('x', context))).toBe(false);
  });

  test.each([
    ['another kind', { ...context, kind: 'job-options' }],
    ['another row', { ...context, rowId: 'vk_2' }],
    ['another workspace', { ...context, workspaceId: 'ws_2' }],
  ])('a value moved to %s does not open', (_name, other) => {
    const sealed = vault.seal({ key: 'secret' }, context);
    expect(() => vault.open(sealed, other)).toThrow(expect.objectContaining({ code: 'credentials_unreadable' }));
  });

  test('another master key does not open it, and the error says that without the key', () => {
    const sealed = createVault(randomBytes(32)).seal({ key: 'secret' }, context);
    expect(() => vault.open(sealed, context)).toThrow(/another master key/);
  });

  test('a change of any byte is noticed', () => {
    const sealed = vault.seal({ key: 'secret' }, context);
    for (let index = 0; index < sealed.length; index += 1) {
      const changed = Buffer.from(sealed);
      changed[index] = changed[index]! ^ 1;
      expect(() => vault.open(changed, context)).toThrow(expect.objectContaining({ code: 'credentials_unreadable' }));
    }
    expect(() => vault.open(sealed.subarray(0, 20), context)).toThrow(/form is unknown/);
  });

  test('a derived secret is the same for a purpose and differs between purposes and master keys', () => {
    expect(createVault(masterKey).derive('ids')).toEqual(vault.derive('ids'));
    expect(vault.derive('ids')).not.toEqual(vault.derive('other'));
    expect(createVault(randomBytes(32)).derive('ids')).not.toEqual(vault.derive('ids'));
  });
});

describe('the master key', () => {
  test('is read as hexadecimal, base64 and URL-safe base64', () => {
    const bytes = randomBytes(32);
    for (const encoding of ['hex', 'base64', 'base64url'] as const) {
      expect(parseMasterKey(` ${bytes.toString(encoding)}\n`)).toEqual(bytes);
    }
    expect(parseMasterKey(newMasterKey())).toHaveLength(32);
  });

  test.each(['', 'short', 'z'.repeat(64), randomBytes(31).toString('hex'), randomBytes(33).toString('base64')])(
    'a wrong one is refused without being repeated (%#)',
    (text) => {
      let message = '';
      try {
        parseMasterKey(text);
      } catch (error) {
        message = String(error);
      }
      expect(message).toContain('must be 32 random bytes');
      if (text.length > 5) expect(message).not.toContain(text);
    },
  );
});
