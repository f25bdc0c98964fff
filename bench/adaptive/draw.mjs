/*
 * Draws the limits over time and writes the table of docs/guide/adaptive-limits.md, from the simulation of the tests:
 *
 *   npx tsx bench/adaptive/draw.mjs
 *
 * Nothing is measured, so every machine gives the same figures.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { CONTESTANTS, PHASES, run } from '../../test/limits/adaptive/contest.ts';

const SEEDS = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const guide = new URL('../../docs/guide/', import.meta.url);

const lines = {
  silent: [
    ['vegasLimit', '#0b7285'],
    ['aimdLimit', '#c92a2a'],
    ['Netflix Gradient2Limit', '#adb5bd'],
    ['Netflix Gradient2Limit, windowed', '#e8a33d'],
  ],
  shedding: [
    ['aimdLimit', '#0b7285'],
    ['vegasLimit', '#7048e8'],
    ['Netflix AIMDLimit', '#adb5bd'],
  ],
};

const titles = {
  silent: 'The limit over time, before a server that queues silently',
  shedding: 'The limit over time, before a server that sheds',
};

mkdirSync(new URL('images/', guide), { recursive: true });
for (const kind of Object.keys(lines)) writeFileSync(new URL(`images/adaptive-${kind}.svg`, guide), draw(kind));

const page = new URL('adaptive-limits.md', guide);
const figures = `<!-- figures -->\n\n${table('silent')}\n${table('shedding')}\n<!-- /figures -->`;
writeFileSync(page, readFileSync(page, 'utf8').replace(/<!-- figures -->.*<!-- \/figures -->/s, figures));

/** Means over the seeds; the time until the limit is right is the longest of them. */
function table(kind) {
  const isSilent = kind === 'silent';
  const rows = Object.keys(CONTESTANTS).map((name) => {
    const runs = SEEDS.map((seed) => run(name, kind, seed).phases);
    const cells = PHASES.map((_, phase) => {
      const of = (key) => runs.map((phases) => phases[phase][key]);
      const slowest = Math.max(...of('settledAfter'));
      const found = of('settledAfter').filter(Number.isFinite).length;
      const right =
        found === 0
          ? 'never'
          : Number.isFinite(slowest)
            ? `${(slowest / 1_000).toFixed(1)} s`
            : `${found} of ${SEEDS.length}`;
      const cost = isSilent
        ? `${Math.round(mean(of('p99')))} ms`
        : `${percent(mean(of('shedShare')))} (${percent(mean(of('shedShareInAll')))})`;
      return `${Math.round(100 * mean(of('throughput')))} % · ${cost} · ${right}`;
    });
    return `| ${name} | ${cells.join(' | ')} |`;
  });
  const head = isSilent
    ? 'queues silently: served · p99 · limit right after'
    : 'sheds: served · shed (in all) · limit right after';
  return `| ${head} | ${PHASES.map(({ slots }) => `${slots} slots`).join(' | ')} |\n|---|${'---|'.repeat(PHASES.length)}\n${rows.join('\n')}\n`;
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function draw(kind) {
  const width = 760;
  const height = 300;
  const left = 44;
  const right = 12;
  const top = 46;
  const bottom = 34;
  const endMs = PHASES.reduce((sum, { forMs }) => sum + forMs, 0);
  // Above it, what runs off is told by its label alone.
  const highest = 80;
  const x = (ms) => (left + ((width - left - right) * ms) / endMs).toFixed(1);
  const y = (limit) => (height - bottom - ((height - top - bottom) * Math.min(limit, highest)) / highest).toFixed(1);

  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" font-family="system-ui, sans-serif" font-size="12">`,
    `<title>${titles[kind]}</title>`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
  ];
  for (let limit = 0; limit <= highest; limit += 20) {
    parts.push(
      `<path d="M${left} ${y(limit)}H${width - right}" stroke="#e9ecef"/>`,
      `<text x="${left - 8}" y="${Number(y(limit)) + 4}" text-anchor="end" fill="#495057">${limit}${limit === highest ? '+' : ''}</text>`,
    );
  }
  for (let second = 0; second * 1_000 <= endMs; second += 10) {
    parts.push(
      `<text x="${x(second * 1_000)}" y="${height - 14}" text-anchor="middle" fill="#495057">${second} s</text>`,
    );
  }
  let from = 0;
  const slots = PHASES.map(({ slots, forMs }) => {
    const piece = `M${x(from)} ${y(slots)}H${x(from + forMs)}`;
    from += forMs;
    return piece;
  });
  parts.push(`<path d="${slots.join('')}" stroke="#212529" stroke-width="2" stroke-dasharray="6 4" fill="none"/>`);
  const legend = [['slots of the server', '#212529']];
  for (const [name, colour] of [...lines[kind]].reverse()) {
    const { limits } = run(name, kind, SEEDS[0]).trace;
    let path = '';
    let last = '';
    for (const [at, limit] of thin(limits, endMs / (width - left - right))) {
      const step = `${path === '' ? `M${x(at)} ${y(limit)}` : `H${x(at)}V${y(limit)}`}`;
      if (step !== last) path += step;
      last = step;
    }
    parts.push(`<path d="${path}H${x(endMs)}" stroke="${colour}" stroke-width="1.5" fill="none"/>`);
    legend.splice(1, 0, [name, colour]);
  }
  let at = left;
  for (const [name, colour] of legend) {
    parts.push(
      `<rect x="${at}" y="17" width="14" height="4" fill="${colour}"/>`,
      `<text x="${at + 19}" y="23" fill="#212529">${name}</text>`,
    );
    at += 40 + name.length * 6.6;
  }
  return `${parts.join('\n')}\n</svg>\n`;
}

/** The last, lowest and highest limit of each pixel: more nobody sees. */
function thin(limits, pixelMs) {
  const kept = [];
  let bucket = [];
  const flush = () => {
    const lowest = bucket.reduce((a, b) => (b[1] < a[1] ? b : a), bucket[0]);
    const highest = bucket.reduce((a, b) => (b[1] > a[1] ? b : a), bucket[0]);
    kept.push(...new Set([lowest, highest, bucket.at(-1)].sort((a, b) => a[0] - b[0])));
  };
  for (const point of limits) {
    if (bucket.length > 0 && Math.floor(point[0] / pixelMs) !== Math.floor(bucket[0][0] / pixelMs)) {
      flush();
      bucket = [];
    }
    bucket.push(point);
  }
  if (bucket.length > 0) flush();
  return kept;
}
