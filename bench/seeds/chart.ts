import { leftOf } from './claims.js';
import type { Row } from './operation.js';
import { LONG_MS, timeText } from './table.js';

const WIDTH = 760;
const LEFT = 300;
const RIGHT = 130;
const ROW = 30;
const TOP = 58;
const [BEFORE, AFTER, THEIRS, CLAIM] = ['#dee2e6', '#0b7285', '#868e96', '#e8590c'];

/** What is left of the time of before, as a bar on it, and the claim as a mark. Rates have no before and are left out. */
export function chart(rows: readonly Row[]): string {
  const bars = rows.filter(({ before }) => before !== undefined);
  const height = TOP + bars.length * ROW + 34;
  const x = (share: number) => (LEFT + (WIDTH - LEFT - RIGHT) * share).toFixed(1);
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="system-ui, sans-serif" font-size="12">`,
    '<title>What is left of the time before, measured and as claimed</title>',
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...legend(),
  ];
  for (const share of [0, 0.25, 0.5, 0.75, 1])
    parts.push(
      `<path d="M${x(share)} ${TOP - 8}V${height - 30}" stroke="#e9ecef"/>`,
      `<text x="${x(share)}" y="${height - 12}" text-anchor="middle" fill="#495057">${100 * share} %</text>`,
    );
  bars.forEach((row, i) => {
    const y = TOP + i * ROW;
    const { kind, from, to = from } = row.claim.gain;
    const left = row.after.median / (row.before?.median ?? Number.NaN);
    const [least, most] = [leftOf(kind, to), leftOf(kind, from)].map(x);
    parts.push(
      `<text x="${LEFT - 10}" y="${y + 14}" text-anchor="end" fill="#212529">${escaped(row.name)}</text>`,
      `<rect x="${x(0)}" y="${y}" width="${WIDTH - LEFT - RIGHT}" height="20" fill="${BEFORE}"/>`,
      `<rect x="${x(0)}" y="${y + 4}" width="${(Number(x(left)) - LEFT).toFixed(1)}" height="12" fill="${row.verdict === undefined ? THEIRS : AFTER}"/>`,
      `<path d="M${least} ${y - 2}v24M${most} ${y - 2}v24M${least} ${y - 1}H${most}" stroke="${CLAIM}" stroke-width="2" fill="none"/>`,
      `<text x="${WIDTH - RIGHT + 8}" y="${y + 14}" fill="#495057">${arrow(row)}</text>`,
    );
  });
  return `${parts.join('\n')}\n</svg>\n`;
}

function legend(): readonly string[] {
  const entries = [
    ['before', BEFORE, 60],
    ['with paceline', AFTER, 95],
    ['code of the seed', THEIRS, 110],
    ['claimed', CLAIM, 70],
  ] as const;
  let at = LEFT;
  return entries.flatMap(([name, colour, width]) => {
    const from = at;
    at += width + 20;
    return [
      `<rect x="${from}" y="22" width="14" height="10" fill="${colour}"/>`,
      `<text x="${from + 19}" y="31" fill="#212529">${name}</text>`,
    ];
  });
}

function arrow({ before, after }: Row): string {
  const from = before?.median ?? Number.NaN;
  return `${timeText(from)} → ${timeText(after.median, from >= LONG_MS)}`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
