// The raw figures as Markdown. By itself: node report.mjs <result.json>
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { median } from '../pool/report.mjs';
import { rows } from './rows.mjs';

/** Contestants down; across what they keep, how fast they are and what they hold. */
export function toMarkdown({ node, cpu, date, loadBefore, loadAfter, correctness, rows: measured, memory }) {
  const names = Object.keys(correctness);
  const wrong = (name) => (Object.values(correctness[name] ?? {}).includes(false) ? ' †' : '');
  return [
    `## Node ${node.slice(1)}, ${date.slice(0, 10)}`,
    `${cpu}; load ${loadBefore} before, ${loadAfter} after.`,
    '### Correctness',
    table(
      Object.keys(correctness[names[0]]),
      names.map((name) => [name, Object.values(correctness[name]).map(mark)]),
    ),
    '### CPU time as a multiple of the hand-written map',
    'Median (lowest to highest sample). † fails the correctness row.',
    table(
      Object.keys(measured).map((row) => rows[row].title),
      names.map((name) => [
        name + wrong(name),
        Object.values(measured).map(({ entries }) => figure(entries?.find((entry) => entry.name === name))),
      ]),
    ),
    '### Bytes for each key',
    table(
      ['live', 'left after the ttl, untouched'],
      Object.entries(memory).map(([name, figures]) => [name, [figures?.live ?? '–', figures?.left ?? '–']]),
    ),
    '',
  ].join('\n\n');
}

function table(titles, lines) {
  return [
    `| | ${titles.join(' | ')} |`,
    `|---|${'---|'.repeat(titles.length)}`,
    ...lines.map(([name, cells]) => `| ${name} | ${cells.join(' | ')} |`),
  ].join('\n');
}

function mark(verdict) {
  if (verdict === null) return '–';
  return verdict ? 'yes' : '**no**';
}

function figure(entry) {
  if (entry === undefined) return '–';
  const ratios = entry.samples.map(({ ratio }) => ratio);
  return `${short(median(ratios))} (${short(Math.min(...ratios))} to ${short(Math.max(...ratios))})`;
}

function short(ratio) {
  return ratio < 99.5 ? ratio.toPrecision(2) : Math.round(ratio).toLocaleString('en');
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  for (const path of process.argv.slice(2)) console.log(toMarkdown(JSON.parse(readFileSync(path, 'utf8'))));
}
