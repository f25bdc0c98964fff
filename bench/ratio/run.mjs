// Installs and builds, then runs each row in processes of its own. Prints Markdown; the figures go to bench/results.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { median } from './measure.mjs';

const FLAGS = ['--single-threaded-gc'];
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** @param besideOf what a row's ratios are multiples of. */
export function run({ name, script, rows: names, processes, besideOf }) {
  for (const [args, cwd] of [
    [['install', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'], here('..')],
    [['run', 'build'], here('../..')],
  ]) {
    const { status } = spawnSync('npm', args, { cwd, stdio: ['ignore', 'ignore', 'inherit'] });
    if (status !== 0) throw new Error(`npm ${args[0]} failed`);
  }
  const load = loadavg()[0];
  const rows = Object.fromEntries(names.map((row) => [row, []]));
  for (let i = 0; i < processes; i++) for (const row of names) rows[row].push(child(script, row));
  const date = new Date().toISOString();
  const result = { date, node: process.version, cpu: cpus()[0].model, load, flags: FLAGS, rows };
  mkdirSync(here('../results'), { recursive: true });
  writeFileSync(here(`../results/${date.slice(0, 10)}-${name}.json`), `${JSON.stringify(result, null, 2)}\n`);
  spawnSync('npx', ['biome', 'format', '--write', 'bench/results'], { cwd: here('../..') });
  for (const [row, runs] of Object.entries(rows)) print(row, runs, besideOf(row));
}

function print(row, runs, beside) {
  console.log(
    `\n| ${row} | CPU ns a call | times ${beside}, median of ${runs.length} processes (least to most) |\n|---|---|---|`,
  );
  for (const { name } of runs[0]) {
    const own = runs.map((list) => list.find((entry) => entry.name === name));
    const ratios = own.map(({ ratio }) => ratio).sort((a, b) => a - b);
    const spread = `${ratios[0].toFixed(2)} to ${ratios.at(-1).toFixed(2)}`;
    console.log(
      `| ${name} | ${median(own.map(({ ns }) => ns)).toFixed(0)} | ${median(ratios).toFixed(2)} (${spread}) |`,
    );
  }
}

function child(script, ...args) {
  const { stdout, status, stderr } = spawnSync(process.execPath, [...FLAGS, script, ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`${script} ${args}: ${stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1));
}
