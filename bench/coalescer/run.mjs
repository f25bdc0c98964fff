// npm run bench:coalescer [-- --rounds 9 --rows hit,join --nodes 20 --names paceline,memoizee]: `RequestCoalescer` beside its rivals, on this
// Node and on Node 24 if it could be installed. Prints Markdown; the raw figures go to bench/results, unless only some names are asked for.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { rivalNames } from './contestants.mjs';
import { toMarkdown } from './report.mjs';
import { rows } from './rows.mjs';

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
const [root, bench] = [here('../..'), here('..')];
const build = join(root, '.cache/bench/coalescer');
const builds = JSON.stringify({ paceline: join(build, 'index.js') });

const INSTALL = ['install', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
if (!existsSync(join(bench, 'node_modules/bentocache'))) run('npm', INSTALL, bench);
run('npx', ['tsup', '--no-dts', '--silent', '--out-dir', build], root);

const node24 = join(bench, 'node_modules/node24/bin/node');
const nodes = [process.execPath, ...(existsSync(node24) ? [node24] : [])].filter((node) =>
  options.nodes.split(',').includes(versionOf(node).slice(1).split('.')[0]),
);
for (const node of nodes) {
  const result = measureOn(node);
  const file = `${result.date.slice(0, 10)}-coalescer-node${result.node.split('.')[0].slice(1)}.json`;
  mkdirSync(join(bench, 'results'), { recursive: true });
  if (options.names === undefined) {
    writeFileSync(join(bench, 'results', file), `${JSON.stringify(result, null, 2)}\n`);
    run('npx', ['biome', 'format', '--write', join('bench/results', file)], root, 'ignore');
  }
  console.log(toMarkdown(result));
}

function measureOn(node) {
  const { dependencies } = JSON.parse(readFileSync(join(bench, 'package.json'), 'utf8'));
  const names = options.names?.split(',') ?? ['paceline', ...rivalNames];
  const result = {
    date: new Date().toISOString(),
    node: versionOf(node),
    cpu: `${cpus().length} x ${cpus()[0].model}`,
    loadBefore: load(),
    flags: FLAGS,
    rivals: dependencies,
    correctness: child(node, 'correctness', builds, names.join()),
    rows: {},
    memory: {},
  };
  for (const row of options.rows.split(',')) {
    console.error(`${result.node} ${row} (load ${load()})`);
    result.rows[row] = { load: load(), entries: child(node, 'measure', row, options.rounds, builds, names.join()) };
  }
  for (const name of ['by hand', ...names]) result.memory[name] = child(node, 'memory', name, builds);
  return { ...result, loadAfter: load() };
}

/** What a child printed last; undefined if it failed or took ten minutes. */
function child(node, script, ...argv) {
  const { status, stdout, stderr } = spawnSync(node, [...FLAGS, '--expose-gc', here(`${script}.mjs`), ...argv], {
    encoding: 'utf8',
    timeout: 600_000,
  });
  if (status === 0) return JSON.parse(stdout.trim().split('\n').at(-1));
  console.error(`${script} ${argv[0]} failed:\n${stderr.split('\n').slice(0, 8).join('\n')}`);
  return undefined;
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
