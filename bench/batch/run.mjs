// npm run bench:batch [-- --rounds 9 --rows immediate --nodes 20]: `batchAllSettled` beside its rivals, on this Node and on Node 24 if it
// could be installed. Prints Markdown; the samples go to bench/results.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { COUNT, LIMIT, rows } from './rows.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    rows: { type: 'string', default: Object.keys(rows).join() },
    nodes: { type: 'string', default: '20,24' },
    names: { type: 'string' },
  },
});

const FLAGS = ['--single-threaded-gc'];
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const root = here('../..');
const bench = here('..');
const build = join(root, '.cache/bench/batch');

const INSTALL = ['install', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
if (!existsSync(join(bench, 'node_modules/p-map'))) run('npm', INSTALL, bench);
run('npx', ['tsup', '--no-dts', '--silent', '--out-dir', build], root);

const node24 = join(bench, 'node_modules/node24/bin/node');
const nodes = [process.execPath, ...(existsSync(node24) ? [node24] : [])].filter((node) =>
  options.nodes.split(',').includes(versionOf(node).slice(1).split('.')[0]),
);
const measured = nodes.map((node) => ({ node: versionOf(node), load: load(), rows: rowsOn(node) }));
const result = { date: new Date().toISOString(), cpu: cpus()[0].model, flags: FLAGS, measured };
mkdirSync(join(bench, 'results'), { recursive: true });
writeFileSync(join(bench, 'results', `${result.date.slice(0, 10)}-batch.json`), `${JSON.stringify(result, null, 2)}\n`);
run('npx', ['biome', 'format', '--write', 'bench/results'], root, 'ignore');

const titles = Object.keys(measured[0].rows).map((row) => rows[row].title);
for (const { node, rows: figures, load: before } of measured) {
  console.log(`\nNode ${node}, load ${before} before. ${COUNT.toLocaleString('en')} items, ${LIMIT} at once.\n`);
  console.log(`| x of the hand-written loop | ${titles.join(' | ')} |\n|---|${'---|'.repeat(titles.length)}`);
  const names = Object.values(figures)[0].map(({ name }) => name);
  for (const name of names) {
    const cells = Object.values(figures).map((entries) => cell(entries.find((entry) => entry.name === name).samples));
    console.log(`| ${name} | ${cells.join(' | ')} |`);
  }
}

function rowsOn(node) {
  return Object.fromEntries(
    options.rows.split(',').map((row) => {
      const args = [...FLAGS, here('measure.mjs'), row, options.rounds, join(build, 'index.js')];
      if (options.names !== undefined) args.push(options.names);
      const { status, stdout, stderr } = spawnSync(node, args, { encoding: 'utf8', timeout: 600_000 });
      if (status !== 0) throw new Error(`${row}: ${stderr}`);
      return [row, JSON.parse(stdout.trim().split('\n').at(-1))];
    }),
  );
}

function cell(samples) {
  const ratios = samples.map(({ ratio }) => ratio).sort((a, b) => a - b);
  const [median, lowest, highest] = [ratios[ratios.length >> 1], ratios[0], ratios.at(-1)];
  return `${median.toFixed(2)} (${lowest.toFixed(2)} to ${highest.toFixed(2)})`;
}

function versionOf(node) {
  return spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
}

function load() {
  return loadavg()[0].toFixed(1);
}

function run(command, args, cwd, stdout = 'inherit') {
  const { status } = spawnSync(command, args, { cwd, stdio: ['ignore', stdout, 'inherit'] });
  if (status !== 0) throw new Error(`${command} ${args[0]} failed`);
}
