import { describe, expect, test } from 'vitest';
import type { PreflightProblem, PreflightReport } from '../datasets/preflight-report.js';
import { preflightReportText } from './preflight-report-text.js';

const problem = (fields: Partial<PreflightProblem> = {}): PreflightProblem => ({
  check: 'unknown_role',
  line: 3,
  column: 23,
  path: 'messages[0].role',
  found: '"assistent"',
  expected: 'one of system and user',
  message: 'messages[0].role must be one of system and user (found "assistent")',
  ...fields,
});

const report = (fields: Partial<PreflightReport> = {}): PreflightReport => ({
  role: 'training',
  method: 'supervised',
  format: 'chat',
  sizeBytes: 1_234,
  rowCount: 12,
  errorCount: 0,
  errors: [],
  warningCount: 0,
  warnings: [],
  roles: { system: 12, user: 20, assistant: 20 },
  imageRowCount: 0,
  imageCount: 0,
  duplicateRowCount: 0,
  duplicatesAreAtLeast: false,
  tokens: null,
  ...fields,
});

const show = (fields: Partial<PreflightReport>, color = false): string =>
  preflightReportText(report(fields), { name: 'train.jsonl', color });
const withErrors = (...errors: readonly PreflightProblem[]): Partial<PreflightReport> => ({
  errors,
  errorCount: errors.length,
});

describe('a report in text', () => {
  test('of a file without errors says what is in it', () => {
    expect(
      show({
        tokens: {
          method: 'estimated',
          encoding: null,
          minimum: 12,
          median: 340,
          maximum: 70_123,
          total: 1_234_567,
          limit: 65_536,
          overLimitRowCount: 1,
          epochs: 3,
          trainedTotal: 3_703_701,
        },
        imageCount: 5,
        imageRowCount: 2,
        duplicateRowCount: 1,
        sizeBytes: 5_400_000,
      }),
    ).toBe(
      [
        'file         train.jsonl (5.1 MiB)',
        'format       chat; supervised method, training file',
        'rows         12',
        'messages     system 12, user 20, assistant 20',
        'tokens       12 min, 340 median, 70,123 max a row (estimated)',
        'in all       1,234,567 × 3 epochs = 3,703,701 (estimated)',
        'over limit   1 row of more than 65,536 tokens',
        'duplicates   1 row',
        'images       5 in 2 rows',
        '',
        'ok: train.jsonl has no error in 12 rows',
        '',
      ].join('\n'),
    );
  });

  test('shows each error at its place with a caret, warnings apart, and the sum in the last line', () => {
    const excerpt = { text: '…essages":[{"role":"assistent","content":"hi"}]}', caret: 19 };
    expect(
      show({
        format: null,
        roles: {},
        rowCount: 3,
        errorCount: 2,
        errors: [
          problem({ check: 'too_few_rows', line: null, column: null, path: '', message: 'the file has 3 rows' }),
          problem({ excerpt }),
        ],
        warningCount: 1,
        warnings: [problem({ check: 'duplicate_rows', column: null, path: '', message: 'line 3 is line 1 again' })],
        duplicateRowCount: 1,
        duplicatesAreAtLeast: true,
      }),
    ).toBe(
      [
        'file         train.jsonl (1.2 KiB)',
        'format       unknown: no row could be read; supervised method, training file',
        'rows         3',
        'duplicates   at least 1 row',
        '',
        'Errors',
        'train.jsonl: the file has 3 rows [too_few_rows]',
        'train.jsonl:3:23: messages[0].role must be one of system and user (found "assistent") [unknown_role]',
        '    …essages":[{"role":"assistent","content":"hi"}]}',
        '                       ^',
        '',
        'Warnings',
        'train.jsonl:3: line 3 is line 1 again [duplicate_rows]',
        '',
        'not ok: train.jsonl has 2 errors and 1 warning in 3 rows',
        '',
      ].join('\n'),
    );
  });

  test('names the path where the message does not', () => {
    expect(show(withErrors(problem({ message: 'the key stands twice' })))).toContain(
      'train.jsonl:3:23: messages[0].role: the key stands twice [unknown_role]\n',
    );
  });

  test('shows 20 of each and says how many there are beyond', () => {
    const errors = Array.from({ length: 100 }, (_, index) => problem({ line: index + 1 }));
    const many = show({ errors, errorCount: 2_345 });
    expect(many).toContain('train.jsonl:20:23:');
    expect(many).not.toContain('train.jsonl:21:23:');
    expect(many).toContain('\n… and 2,325 more (--json has the first 100)\n');
    expect(show({ errors: errors.slice(0, 21), errorCount: 21 })).toContain('… and 1 more (--json has the first 21)');
    expect(show(withErrors(...errors.slice(0, 20)))).not.toContain('more');
  });

  test.each([
    ['plain text', 'ab', '  '],
    ['wide characters', '数据', '    '],
    ['an emoji', '🙂x', '   '],
    ['a combining accent', 'e\u0301', ' '],
  ])('puts the caret under its place after %s', (_name, before, blank) => {
    const shown = show(withErrors(problem({ excerpt: { text: `${before}!`, caret: before.length } })));
    expect(shown).toContain(`\n    ${before}!\n    ${blank}^\n`);
  });

  test('lets nothing through that a terminal obeys', () => {
    const shown = preflightReportText(
      report({
        roles: { '\u001b[31m': 1 },
        ...withErrors(problem({ message: 'a\u001b[2Jb\nc', excerpt: { text: '\u001b]0;x\u0007\u202e', caret: 1 } })),
      }),
      { name: 'a\u001b[1m\n.jsonl', color: false },
    );
    expect(shown).not.toMatch(/[^\n\P{Control}]|\u202e/u);
    expect(shown).toContain('a?[1m?.jsonl:3:23: ');
  });

  test('has colour only where it is asked for', () => {
    const fields = withErrors(problem({ excerpt: { text: 'x', caret: 0 } }));
    expect(show(fields)).not.toContain('\u001b');
    const colored = show(fields, true);
    expect(colored).toContain('\u001b[31m');
    expect(colored.replace(/\u001b\[\d+m/g, '')).toBe(show(fields));
  });
});
