import { gainText, rangeText } from './claims.js';
import type { Row, Summary } from './operation.js';

/** From here on, seconds. */
export const LONG_MS = 2_000;

const HEAD = [
  'Operation',
  'claimed before',
  'claimed after',
  'claimed gain',
  'before',
  'after',
  'gain',
  'claim',
] as const;

/** The seeds' own tables with the measured columns beside. Markdown, padded so that it reads in a terminal too. */
export function table(rows: readonly Row[]): string {
  const body = rows.map((row) => cellsOf(row));
  const widths = HEAD.map((head, i) => Math.max(head.length, ...body.map((cells) => cells[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => `${'-'.repeat(width + 1)}${i === 0 ? '-' : ':'}`).join('|')}|`;
  return [line(HEAD), rule, ...body.map(line)].join('\n');
}

/** One line for each claim that is not met. */
export function reasons(rows: readonly Row[]): readonly string[] {
  return rows
    .filter(({ verdict }) => verdict === 'not met')
    .map(({ name, reason }) => `${name}: ${reason ?? 'no reason is known.'}`);
}

function cellsOf({ name, claim, before, after, gain, verdict }: Row): readonly string[] {
  const { kind } = claim.gain;
  const isRate = kind === 'rate';
  // One unit for a row.
  const isLong = (before?.median ?? 0) >= LONG_MS;
  return [
    name,
    claim.before === undefined ? '' : timeText(claim.before),
    claim.after !== undefined ? timeText(claim.after) : claim.below === undefined ? '' : `< ${timeText(claim.below)}`,
    rangeText(claim.gain),
    before === undefined ? '' : summaryText(before, isLong),
    isRate ? '' : summaryText(after, isLong),
    gainText(kind, gain),
    verdict ?? '',
  ];
}

/** With the range of the samples, where there are several. */
function summaryText({ median, low, high, samples }: Summary, isLong: boolean): string {
  if (samples.length < 2) return timeText(median, isLong);
  const [least, most] = [low, high].map((ms) => timeText(ms, isLong).replace(/ \w+$/, ''));
  return `${timeText(median, isLong)} (${least} to ${most})`;
}

export function timeText(ms: number, isLong = ms >= LONG_MS): string {
  return isLong ? `${(ms / 1_000).toFixed(1)} s` : `${ms.toFixed(0)} ms`;
}
