// The raw figures as Markdown. By itself: node report.mjs <result.json>
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { rows } from './rows.mjs';

/** One table for each set of flags: contestants down, rows across. */
export function toMarkdown(result) {
  const { node, cpu, date, loadBefore, loadAfter } = result;
  const parts = [
    `## Node ${node.slice(1)}, ${date.slice(0, 10)}`,
    `${cpu}; load ${loadBefore} before, ${loadAfter} after.`,
  ];
  parts.push(correctness(result), memory(result));
  for (const [flags, measured] of Object.entries(result.rows)) parts.push(speed(flags, measured, wrongOnes(result)));
  return `${parts.join('\n\n')}\n`;
}

export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function wrongOnes({ correctness }) {
  const names = Object.keys(correctness ?? {});
  return new Set(names.filter((name) => Object.values(correctness[name]).includes(false)));
}

function speed(flags, measured, wrong) {
  const sections = Object.entries(measured)
    .filter(([, { entries }]) => entries !== undefined)
    .map(([name, { entries, load }]) => {
      const { title, count } = rows[name];
      const places = entries.map((entry) => ({ ...entry, order: order(entry) })).sort((a, b) => a.order - b.order);
      const list = places.map((entry) => `${entry.name}${wrong.has(entry.name) ? ' †' : ''} ${figure(entry)}`);
      return `| ${count.toLocaleString('en')} ${title} | ${list.join('<br>')} | ${load} |`;
    });
  return [
    `### CPU time as a multiple of the hand-written loop, flags: ${flags}`,
    '',
    'Median (lowest to highest sample). † fails the correctness row. `>`: not finished in time; at how many tasks.',
    '',
    '| row | contestants, best first | load |',
    '|---|---|---|',
    ...sections,
  ].join('\n');
}

function order({ samples, dropped, failed }) {
  if (failed) return Number.POSITIVE_INFINITY;
  return dropped ? 1e6 + dropped.ratio : median(samples.map(({ ratio }) => ratio));
}

function figure({ samples, dropped, failed }) {
  if (failed) return `failed: ${failed}`;
  if (dropped) return `> (${short(dropped.ratio)} at ${dropped.count.toLocaleString('en')})`;
  const ratios = samples.map(({ ratio }) => ratio);
  return `**${short(median(ratios))}** (${short(Math.min(...ratios))} to ${short(Math.max(...ratios))})`;
}

function short(ratio) {
  return ratio < 100 ? ratio.toPrecision(2) : Math.round(ratio).toLocaleString('en');
}

function correctness({ correctness }) {
  if (correctness === undefined) return 'No correctness row: it failed.';
  const names = Object.keys(correctness.paceline);
  const mark = (verdict) => (verdict === null ? '–' : verdict ? 'yes' : '**no**');
  return [
    '### Correctness',
    '',
    `| | ${names.join(' | ')} |`,
    `|---|${'---|'.repeat(names.length)}`,
    ...Object.entries(correctness).map(([name, all]) => `| ${name} | ${names.map((n) => mark(all[n])).join(' | ')} |`),
  ].join('\n');
}

function memory({ memory }) {
  const cell = (value) => (value === undefined || value === null ? '–' : value.toLocaleString('en'));
  return [
    '### Memory for each queued task',
    '',
    '| | bytes held while it waits | left when all are done | bytes made | promises made |',
    '|---|---|---|---|---|',
    ...Object.entries(memory).map(
      ([name, { waiting, left, made, promises }]) =>
        `| ${name} | ${[waiting, left, made, promises].map(cell).join(' | ')} |`,
    ),
  ].join('\n');
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const path of process.argv.slice(2)) console.log(toMarkdown(JSON.parse(readFileSync(path, 'utf8'))));
}
