// npm run bench:upstream: what all layers cost, one call after the other and ten thousand at once. Prints Markdown; the figures go to bench/results.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { names } from './measure.mjs';

const PROCESSES = 3;
const FLAGS = ['--single-threaded-gc'];
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

for (const [args, cwd] of [
  [['install', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'], here('..')],
  [['run', 'build'], here('../..')],
]) {
  const { status } = spawnSync('npm', args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error(`npm ${args[0]} failed`);
}

const load = loadavg()[0];
const rows = Object.fromEntries(names.map((name) => [name, []]));
for (let i = 0; i < PROCESSES; i++) for (const name of names) rows[name].push(child('measure.mjs', name));
const result = {
  date: new Date().toISOString(),
  node: process.version,
  cpu: cpus()[0].model,
  load,
  flags: FLAGS,
  rows,
};
mkdirSync(here('../results'), { recursive: true });
writeFileSync(here(`../results/${result.date.slice(0, 10)}-upstream.json`), `${JSON.stringify(result, null, 2)}\n`);
spawnSync('npx', ['biome', 'format', '--write', 'bench/results'], { cwd: here('../..') });

for (const [row, runs] of Object.entries(rows)) {
  const beside = 'a bare `await task()`';
  console.log(
    `\n| ${row} | CPU ns a call | times ${beside}, median of ${PROCESSES} processes (least to most) |\n|---|---|---|`,
  );
  for (const { name } of runs[0]) {
    const own = runs.map((run) => run.find((entry) => entry.name === name));
    const ratios = own.map(({ ratio }) => ratio).sort((a, b) => a - b);
    const ns = median(own.map((entry) => entry.ns));
    const spread = `${ratios[0].toFixed(2)} to ${ratios.at(-1).toFixed(2)}`;
    console.log(`| ${name} | ${ns.toFixed(0)} | ${median(ratios).toFixed(2)} (${spread}) |`);
  }
}

function median(values) {
  return values.sort((a, b) => a - b)[values.length >> 1];
}

function child(script, ...args) {
  const { stdout, status, stderr } = spawnSync(process.execPath, [...FLAGS, here(script), ...args], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${script} ${args}: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}
