/*
 * Draws the pictures of docs/guide/retry.md from the simulations of the tests:
 *
 *   npx tsx bench/retry/draw.mjs
 *
 * Nothing is measured, so every machine gives the same figures.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { callsSent, contendOften, delaysAfter } from '../../test/retry/simulate.ts';

const images = new URL('../../docs/guide/images/', import.meta.url);
const [teal, red, violet, grey] = ['#0b7285', '#c92a2a', '#7048e8', '#868e96'];
const width = 760;
const height = 300;
const [left, right, top, bottom] = [56, 14, 46, 36];

mkdirSync(images, { recursive: true });
const save = (name, svg) => writeFileSync(new URL(`retry-${name}.svg`, images), svg);

const rates = Array.from({ length: 21 }, (_, i) => i / 20);
const sent = (maxAttempts, hasBudget) => rates.map((rate) => [100 * rate, callsSent(rate, maxAttempts, hasBudget)]);
save(
  'budget',
  chart({
    title: 'Calls that an upstream gets for 1,000 requests, over the share of calls that fail',
    x: { from: 0, to: 100, ticks: [0, 20, 40, 60, 80, 100], label: (value) => `${value} % fail` },
    y: { from: 0, to: 4_000, ticks: [0, 1_000, 2_000, 3_000, 4_000], label: String },
    lines: [
      ['4 attempts', red, sent(4, false)],
      ['3 attempts', violet, sent(3, false)],
      ['3 or 4 attempts with a budget', teal, sent(4, true)],
    ],
  }),
);

const counts = [1, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100];
const contention = Object.fromEntries(
  ['none', 'equal', 'full'].map((jitter) => [jitter, counts.map((count) => [count, contendOften(count, jitter)])]),
);
const contenders = (of) => [
  ["'none'", red, contention.none.map(([count, run]) => [count, of(run)])],
  ["'equal'", violet, contention.equal.map(([count, run]) => [count, of(run)])],
  ["'full'", teal, contention.full.map(([count, run]) => [count, of(run)])],
];
const clients = { from: 0, to: 100, ticks: [0, 20, 40, 60, 80, 100], label: (value) => `${value} clients` };
save(
  'contention-calls',
  chart({
    title: 'Calls until all clients have written one row, by jitter',
    x: clients,
    y: { from: 0, to: 2_000, ticks: [0, 500, 1_000, 1_500, 2_000], label: String },
    lines: contenders(({ calls }) => calls),
  }),
);
save(
  'contention-time',
  chart({
    title: 'Time until all clients have written one row, by jitter',
    x: clients,
    y: { from: 0, to: 65_000, ticks: [0, 20_000, 40_000, 60_000], label: (value) => `${value / 1_000} s` },
    lines: contenders(({ doneAfter }) => doneAfter),
  }),
);

const attempts = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 3e4, 1e5, 3e5, 1e6];
const delays = (jitter, of) => attempts.map((attempt) => [Math.log10(attempt), of(delaysAfter(attempt, jitter))]);
save(
  'delays',
  chart({
    title: 'Waits after attempts 1 to 1,000,000: baseDelay 100, maxDelay 20,000',
    x: { from: 0, to: 6, ticks: [0, 1, 2, 3, 4, 5, 6], label: (value) => (10 ** value).toLocaleString('en') },
    y: { from: 0, to: 20_000, ticks: [0, 5_000, 10_000, 15_000, 20_000], label: (value) => `${value / 1_000} s` },
    lines: [
      ["'none'", grey, delays('none', ({ mean }) => mean)],
      ["'equal', mean", violet, delays('equal', ({ mean }) => mean)],
      ["'full', mean", teal, delays('full', ({ mean }) => mean)],
    ],
    bands: [
      [violet, delays('equal', ({ least }) => least), delays('equal', ({ greatest }) => greatest)],
      [teal, delays('full', ({ least }) => least), delays('full', ({ greatest }) => greatest)],
    ],
  }),
);

for (const [jitter, runs] of Object.entries(contention)) {
  const { calls, doneAfter } = runs.at(-1)[1];
  console.log(`100 clients, ${jitter}: ${Math.round(calls)} calls, ${(doneAfter / 1_000).toFixed(1)} s`);
}
for (const rate of [0.1, 0.5, 1]) {
  console.log(
    `${100 * rate} % fail: ${callsSent(rate, 4, false)} without, ${Math.round(callsSent(rate, 4, true))} with a budget`,
  );
}

function chart({ title, x, y, lines, bands = [] }) {
  const place =
    ({ from, to }, start, end) =>
    (value) =>
      (start + ((end - start) * (value - from)) / (to - from)).toFixed(1);
  const atX = place(x, left, width - right);
  const atY = place(y, height - bottom, top);
  const path = (points) => points.map(([a, b], i) => `${i === 0 ? 'M' : 'L'}${atX(a)} ${atY(b)}`).join('');
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${title}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
  ];
  for (const value of y.ticks) {
    parts.push(
      `<path d="M${left} ${atY(value)}H${width - right}" stroke="#e9ecef"/>`,
      `<text x="${left - 8}" y="${Number(atY(value)) + 4}" text-anchor="end" fill="#495057">${y.label(value)}</text>`,
    );
  }
  for (const [i, value] of x.ticks.entries()) {
    const anchor = i === 0 ? 'start' : i === x.ticks.length - 1 ? 'end' : 'middle';
    parts.push(
      `<text x="${atX(value)}" y="${height - 14}" text-anchor="${anchor}" fill="#495057">${x.label(value)}</text>`,
    );
  }
  for (const [colour, lower, upper] of bands) {
    const back = [...lower].reverse().map(([a, b]) => `L${atX(a)} ${atY(b)}`);
    parts.push(`<path d="${path(upper)}${back.join('')}Z" fill="${colour}" fill-opacity="0.12"/>`);
  }
  let at = left;
  for (const [name, colour, points] of lines) {
    parts.push(
      `<path d="${path(points)}" stroke="${colour}" stroke-width="2" fill="none"/>`,
      `<rect x="${at}" y="17" width="14" height="4" fill="${colour}"/>`,
      `<text x="${at + 19}" y="23" fill="#212529">${name}</text>`,
    );
    at += 40 + name.length * 6.6;
  }
  return `${parts.join('\n')}\n</svg>\n`;
}
