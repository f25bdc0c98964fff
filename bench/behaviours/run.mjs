// npm run bench:behaviours: the hard cases of sharing a load, every library beside the others. Prints the table, writes the figures to
// bench/results; with --write the table of docs/guide/coalescers-compared.md is replaced too. `--rows 3,7 --only paceline` runs less of
// it, and writes nothing.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { adapters } from './adapters.mjs';
import { cases } from './cases.mjs';
import { sizeOf } from './size.mjs';
import { markdown, text } from './table.mjs';

const LIMIT = 30_000;
const EXIT_LIMIT = 1000;
// A cell mostly sleeps. With more at a time the libraries with the shortest times would be measured by the load of the machine.
const AT_ONCE = 5 * availableParallelism();
const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const guide = here('../../docs/guide/coalescers-compared.md');

const { values } = parseArgs({
  options: { write: { type: 'boolean' }, rows: { type: 'string' }, only: { type: 'string' } },
});
const rows = values.rows?.split(',').map((row) => Number(row) - 1) ?? cases.keys();
const names = values.only?.split(',') ?? Object.keys(adapters);
const build = prepare();

const started = Date.now();
const load = loadavg()[0];
const cells = [];
for (const row of rows) for (const name of names) cells.push({ row, name });
// The longest first: whose clock counts in seconds.
const waiting = cells.toSorted((a, b) => (adapters[b.name].unit ?? 0) - (adapters[a.name].unit ?? 0));
await Promise.all(Array.from({ length: AT_ONCE }, worker));

const result = {
  date: new Date().toISOString(),
  node: process.version,
  cpu: cpus()[0].model,
  load,
  seconds: Math.round((Date.now() - started) / 1000),
  sha256: createHash('sha256').update(readFileSync(build)).digest('hex'),
  versions: Object.fromEntries(names.map((name) => [name, versionOf(name)])),
  kilobytes: Object.fromEntries(
    await Promise.all(names.map(async (name) => [name, await sizeOf(adapters[name].imports, build)])),
  ),
  rows: [...new Set(cells.map(({ row }) => row))].map((row) => ({
    name: cases[row].name,
    cells: Object.fromEntries(
      cells.filter((cell) => cell.row === row).map(({ name, cell, detail }) => [name, { cell, detail }]),
    ),
  })),
};
console.log(text(result));
if (values.rows === undefined && values.only === undefined) save();

function save() {
  mkdirSync(here('../results'), { recursive: true });
  const file = here(`../results/${result.date.slice(0, 10)}-behaviours.json`);
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  spawnSync('npx', ['biome', 'format', '--write', file], { cwd: here('../..') });
  if (!values.write) return;
  const parts = readFileSync(guide, 'utf8').split(/(?<=<!-- table -->\n)[\s\S]*(?=<!-- \/table -->)/);
  if (parts.length !== 2) throw new Error('the guide has no table to replace');
  writeFileSync(guide, parts.join(markdown(result)));
}

async function worker() {
  for (let cell = waiting.shift(); cell !== undefined; cell = waiting.shift()) {
    Object.assign(cell, await ask(cell));
  }
}

/** "yes" and "-" are taken at their word. What is said against a library has to be said twice: the machine may have been slow. */
async function ask({ row, name }) {
  const heard = [];
  for (;;) {
    const answer = await inChild(String(row), name, cases[row].exits === true);
    if (answer.cell === 'yes' || answer.cell === '-' || heard.includes(answer.cell)) return answer;
    heard.push(answer.cell);
    if (heard.length === 5) return { cell: 'varies', detail: heard.join(', ') };
  }
}

/** A cell whose process dies, or says nothing in time, has an answer all the same. */
function inChild(row, name, exits) {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ['--expose-gc', here('cell.mjs'), row, name, build], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    let answeredAt;
    let errors = '';
    const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT);
    child.stdout.on('data', (data) => {
      output += data;
      answeredAt = performance.now();
      if (exits) setTimeout(() => child.kill('SIGKILL'), 5 * EXIT_LIMIT).unref();
    });
    child.stderr.on('data', (data) => {
      errors += data;
    });
    child.on('close', (code) => {
      clearTimeout(limit);
      const answer = JSON.parse(output.trim().split('\n').at(-1) || 'null');
      if (answer === null) resolve({ cell: code === null ? 'hangs' : 'crashes', detail: errors.trim() });
      else if (exits && answer.cell === 'yes' && performance.now() - answeredAt > EXIT_LIMIT) {
        resolve({ cell: 'stays alive' });
      } else resolve(answer);
    });
  });
}

/** A build of its own, so that nobody's rebuild gets in the way. */
function prepare() {
  for (const [command, args, cwd] of [
    ['npm', ['install', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'], '..'],
    ['npx', ['tsup', '--no-dts', '--silent', '--out-dir', '.cache/bench/behaviours'], '../..'],
  ]) {
    const { status } = spawnSync(command, args, { cwd: here(cwd), stdio: ['ignore', 'ignore', 'inherit'] });
    if (status !== 0) throw new Error(`${command} ${args[0]} failed`);
  }
  return here('../../.cache/bench/behaviours/index.js');
}

function versionOf(name) {
  const path = name === 'paceline' ? '../../package.json' : `../node_modules/${name}/package.json`;
  return existsSync(here(path)) ? JSON.parse(readFileSync(here(path), 'utf8')).version : undefined;
}
