/*
 * Draws docs/guide/images/batch-window.svg: 50 calls of uneven length in 5 lanes, by a window that slides and with a barrier after each
 * five. From the model that the tests prove:
 *
 *   npx tsx bench/batch/draw.mjs
 *
 * Nothing is measured, so every machine draws the same.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { barriers, endOf, LANES, slidingWindow, TIMES, total } from '../../test/batch/uneven-calls.ts';

const WIDTH = 760;
const LEFT = 12;
const RIGHT = 12;
const LANE = 16;
const PANEL_TOP = 40;
const PANEL = PANEL_TOP + LANES * LANE + 14;
const AXIS = 26;
const SLOW = 400;

const panels = [
  ['batchAllSettled: the next call starts when one ends', slidingWindow(TIMES, LANES)],
  ['A barrier after each five', barriers(TIMES, LANES)],
];
const longest = Math.max(...panels.map(([, spans]) => endOf(spans)));
const x = (ms) => LEFT + ((WIDTH - LEFT - RIGHT) * ms) / longest;
const height = panels.length * PANEL + AXIS;

const parts = [
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img" font-family="system-ui, sans-serif" font-size="12">`,
  '<title>50 calls of uneven length in 5 lanes, with and without barriers</title>',
  `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
];
for (const [i, [title, spans]] of panels.entries()) {
  const top = i * PANEL;
  const end = endOf(spans);
  const busy = Math.round((100 * total(TIMES)) / LANES / end);
  parts.push(
    `<text x="${LEFT}" y="${top + 26}" fill="#212529" font-weight="600">${title}</text>`,
    `<text x="${WIDTH - RIGHT}" y="${top + 26}" text-anchor="end" fill="#495057">${end.toLocaleString('en')} ms, lanes busy ${busy} %</text>`,
    // What is not covered below is idle.
    `<rect x="${LEFT}" y="${top + PANEL_TOP}" width="${(x(end) - LEFT).toFixed(1)}" height="${LANES * LANE}" fill="#f1f3f5"/>`,
  );
  for (const { index, lane, start, end: to } of spans) {
    const colour = TIMES[index] === SLOW ? '#c92a2a' : '#0b7285';
    parts.push(
      `<rect x="${x(start).toFixed(1)}" y="${top + PANEL_TOP + lane * LANE + 1}" width="${(x(to) - x(start) - 1).toFixed(1)}" height="${LANE - 2}" fill="${colour}"/>`,
    );
  }
}
for (let ms = 0; ms <= longest; ms += 500) {
  const anchor = ms === 0 ? 'start' : 'middle';
  parts.push(
    `<text x="${x(ms).toFixed(1)}" y="${height - 10}" text-anchor="${anchor}" fill="#495057">${(ms / 1_000).toFixed(1)} s</text>`,
  );
}

const images = new URL('../../docs/guide/images/', import.meta.url);
mkdirSync(images, { recursive: true });
writeFileSync(new URL('batch-window.svg', images), `${parts.join('\n')}\n</svg>\n`);
