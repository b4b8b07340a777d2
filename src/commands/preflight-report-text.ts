import { styleText } from 'node:util';
import type { PreflightProblem, PreflightReport } from '../datasets/preflight-report.js';
import { printable } from './printable.js';

export interface PreflightTextOptions {
  /** As the reader knows the file. */
  readonly name: string;
  readonly color: boolean;
}

const MAX_SHOWN = 20;
const LABEL_WIDTH = 12;

type Format = Parameters<typeof styleText>[0];
type Paint = (format: Format, text: string) => string;

/** A report for people: what is in the file, then what is wrong with it, and what that means in the last line. */
export function preflightReportText(report: PreflightReport, { name, color }: PreflightTextOptions): string {
  const paint: Paint = (format, text) => (color ? styleText(format, text, { validateStream: false }) : text);
  const shownName = printable(name);
  return [
    ...summary(report, shownName).map(([label, text]) => `${paint('bold', label.padEnd(LABEL_WIDTH))} ${text}`),
    ...problems('Errors', report.errors, report.errorCount, shownName, paint, 'red'),
    ...problems('Warnings', report.warnings, report.warningCount, shownName, paint, 'yellow'),
    '',
    verdict(report, shownName, paint),
    '',
  ].join('\n');
}

function summary(report: PreflightReport, name: string): readonly (readonly [label: string, text: string])[] {
  const format = report.format === null ? 'unknown: no row could be read' : report.format;
  return [
    ['file', `${name} (${bytes(report.sizeBytes)})`],
    ['format', `${format}; ${report.method} method, ${report.role} file`],
    ['rows', count(report.rowCount)],
    ...roles(report),
    ...tokens(report),
    ['duplicates', duplicates(report)],
    ...(report.imageCount === 0
      ? []
      : [['images', `${count(report.imageCount)} in ${plural(report.imageRowCount, 'row')}`] as const]),
  ];
}

function roles({ roles }: PreflightReport): readonly (readonly [string, string])[] {
  const counts = Object.entries(roles).filter(([, messages]) => messages > 0);
  return counts.length === 0
    ? []
    : [['messages', counts.map(([role, messages]) => `${printable(role)} ${count(messages)}`).join(', ')]];
}

function tokens({ tokens }: PreflightReport): readonly (readonly [string, string])[] {
  if (tokens === null) return [];
  const method = tokens.method === 'exact' ? `exact, ${tokens.encoding ?? 'one encoding'}` : 'estimated';
  const { minimum, median, maximum, total, limit, epochs, trainedTotal, overLimitRowCount } = tokens;
  const trained =
    epochs === null || trainedTotal === null
      ? count(total)
      : `${count(total)} × ${plural(epochs, 'epoch')} = ${count(trainedTotal)}`;
  return [
    ['tokens', `${count(minimum)} min, ${count(median)} median, ${count(maximum)} max a row (${method})`],
    ['in all', `${trained} (${tokens.method})`],
    ...(limit === null
      ? []
      : [['over limit', `${plural(overLimitRowCount, 'row')} of more than ${count(limit)} tokens`] as const]),
  ];
}

function duplicates({ duplicateRowCount, duplicatesAreAtLeast }: PreflightReport): string {
  return duplicatesAreAtLeast ? `at least ${plural(duplicateRowCount, 'row')}` : plural(duplicateRowCount, 'row');
}

function problems(
  title: string,
  reported: readonly PreflightProblem[],
  total: number,
  name: string,
  paint: Paint,
  color: 'red' | 'yellow',
): readonly string[] {
  if (total === 0) return [];
  const shown = reported.slice(0, MAX_SHOWN);
  const hidden = total - shown.length;
  const inJson = Math.min(total, reported.length);
  const more = inJson > shown.length ? ` (--json has the first ${inJson})` : '';
  return [
    '',
    paint(['bold', color], title),
    ...shown.flatMap((problem) => problemLines(problem, name, paint, color)),
    ...(hidden === 0 ? [] : [`… and ${count(hidden)} more${more}`]),
  ];
}

function problemLines(
  problem: PreflightProblem,
  name: string,
  paint: Paint,
  color: 'red' | 'yellow',
): readonly string[] {
  const { line, column, path, message, excerpt } = problem;
  // `file:line:column`, which terminals and editors make a link of.
  const place = [name, ...[line, column].filter((part) => part !== null)].join(':');
  const where = path === '' || message.includes(path) ? '' : `${path}: `;
  const said = `${paint('bold', `${place}:`)} ${printable(`${where}${message}`)} ${paint('dim', `[${problem.check}]`)}`;
  if (excerpt === undefined) return [said];
  const text = printable(excerpt.text);
  return [said, `    ${text}`, `    ${blankAs(text.slice(0, excerpt.caret))}${paint(['bold', color], '^')}`];
}

function verdict(report: PreflightReport, name: string, paint: Paint): string {
  const { rowCount, errorCount, warningCount } = report;
  const warned = warningCount === 0 ? '' : ` and ${plural(warningCount, 'warning')}`;
  const rows = plural(rowCount, 'row');
  return errorCount === 0
    ? `${paint(['bold', 'green'], 'ok')}: ${name} has no error${warned} in ${rows}`
    : `${paint(['bold', 'red'], 'not ok')}: ${name} has ${plural(errorCount, 'error')}${warned} in ${rows}`;
}

/** Blank text as wide on a terminal as the given one, so that the caret stands where it should. */
function blankAs(text: string): string {
  return text
    .replace(/\p{Mark}|\p{Default_Ignorable_Code_Point}/gu, '')
    .replace(
      /[\u1100-\u115F\u2E80-\u303E\u3041-\uA4CF\uAC00-\uD7A3\uF900-\uFAFF\uFE30-\uFE6F\uFF01-\uFF60\uFFE0-\uFFE6]|\p{Emoji_Presentation}/gu,
      '  ',
    )
    .replace(/[^ ]/gu, ' ');
}

function plural(amount: number, noun: string): string {
  return `${count(amount)} ${noun}${amount === 1 ? '' : 's'}`;
}

function count(amount: number): string {
  return amount.toLocaleString('en-US');
}

function bytes(size: number): string {
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  if (size < 1024) return plural(size, 'byte');
  const power = Math.min(units.length, Math.floor(Math.log2(size) / 10));
  return `${(size / 1024 ** power).toFixed(1)} ${units[power - 1] ?? ''}`;
}
