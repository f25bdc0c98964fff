// npm run bench:admission: what rate limiters keep of their promise, and what gates cost. Prints Markdown; the figures go to bench/results.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { names } from './rates.mjs';

const ROUNDS = 5;
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
const rates = {};
for (let round = 0; round < ROUNDS; round++) {
  for (const name of names) {
    rates[name] ??= [];
    rates[name].push(child('rates.mjs', name));
  }
}
const gates = child('gates.mjs');
const result = {
  date: new Date().toISOString(),
  node: process.version,
  cpu: cpus()[0].model,
  load,
  flags: FLAGS,
  rates,
  gates,
};
mkdirSync(here('../results'), { recursive: true });
writeFileSync(here(`../results/${result.date.slice(0, 10)}-admission.json`), `${JSON.stringify(result, null, 2)}\n`);
spawnSync('npx', ['biome', 'format', '--write', 'bench/results'], { cwd: here('../..') });

console.log(
  '| 1000 tasks at 100 per 100 ms | worst window of 100 ms, worst of 5 | time / ideal, median | CPU ms, median |\n|---|---|---|---|',
);
for (const [name, runs] of Object.entries(rates)) {
  const worst = Math.max(...runs.map(({ worstWindow }) => worstWindow));
  console.log(`| ${name} | ${worst} | ${of(runs, 'timesIdeal').toFixed(3)} | ${of(runs, 'cpuMs').toFixed(0)} |`);
}
for (const [row, figures] of Object.entries(gates)) {
  const base = figures['no gate'];
  const texts = Object.entries(figures).map(([name, ns]) => `${name} ${ns.toFixed(0)} ns (${(ns / base).toFixed(2)}x)`);
  console.log(`\n${row}: ${texts.join(', ')}`);
}

function of(runs, field) {
  return runs.map((run) => run[field]).sort((a, b) => a - b)[runs.length >> 1];
}

function child(script, ...args) {
  const { stdout, status, stderr } = spawnSync(process.execPath, [...FLAGS, here(script), ...args], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${script} ${args}: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}
