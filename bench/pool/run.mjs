// npm run bench:pool [-- --rounds 5 --rows queued,map --flags default --nodes 20]
// Installs the rivals, runs each row in a process of its own, on this Node and on Node 24 if it could be installed, with a
// single-threaded collector and with default flags. Prints Markdown; the raw figures go to bench/results.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeBuilds, root } from './builds.mjs';
import { rivalNames } from './contestants.mjs';
import { toMarkdown } from './report.mjs';
import { rows } from './rows.mjs';

const CAP_S = 3;
const LONG_CAP_S = 10;
const LONG_ROUNDS = 3;
const MEMORY_FLAGS = ['--expose-gc', '--single-threaded-gc', '--min-semi-space-size=512', '--max-semi-space-size=512'];
const FLAGS = { 'single-threaded-gc': ['--single-threaded-gc'], default: [] };

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    rows: { type: 'string', default: Object.keys(rows).join() },
    flags: { type: 'string', default: Object.keys(FLAGS).join() },
    nodes: { type: 'string', default: '20,24' },
  },
});

const bench = join(root, 'bench');
install();
const { builds, sha256 } = makeBuilds();
const rivalVersions = JSON.parse(readFileSync(join(bench, 'package.json'), 'utf8')).dependencies;

for (const node of findNodes()) {
  const result = runOn(node);
  const name = `${new Date().toISOString().slice(0, 10)}-node${result.node.split('.')[0].slice(1)}.json`;
  mkdirSync(join(bench, 'results'), { recursive: true });
  writeFileSync(join(bench, 'results', name), `${JSON.stringify(result, null, 2)}\n`);
  console.log(toMarkdown(result));
}
// They are kept in the repository, so they keep its form.
spawnSync('npx', ['biome', 'format', '--write', 'bench/results'], { cwd: root });

function install() {
  const args = ['install', '--no-package-lock', '--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error'];
  const { status } = spawnSync('npm', args, { cwd: bench, stdio: ['ignore', 'ignore', 'inherit'] });
  if (status !== 0) throw new Error('the rivals could not be installed');
}

function findNodes() {
  const node24 = join(bench, 'node_modules/node24/bin/node');
  return [process.execPath, ...(existsSync(node24) ? [node24] : [])].filter((node) =>
    options.nodes.split(',').includes(versionOf(node).slice(1).split('.')[0]),
  );
}

function versionOf(node) {
  return spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
}

function runOn(node) {
  const result = {
    date: new Date().toISOString(),
    node: versionOf(node),
    cpu: `${cpus().length} x ${cpus()[0].model}`,
    loadBefore: load(),
    paceline: sha256,
    rivals: rivalVersions,
    memoryFlags: MEMORY_FLAGS,
    correctness: child(node, [], 'correctness', JSON.stringify({ paceline: builds.paceline })),
    memory: {},
    rows: {},
  };
  for (const name of ['bare', 'paceline', ...rivalNames]) {
    const memory = {};
    for (const what of ['heap', 'made', 'promises']) {
      if (name === 'bare' && what === 'heap') continue;
      if (result.correctness[name] && result.correctness[name].isolation === null) continue;
      Object.assign(memory, child(node, MEMORY_FLAGS, 'memory', what, name, JSON.stringify(builds)));
    }
    if (Object.keys(memory).length > 0) result.memory[name] = memory;
  }
  for (const flags of options.flags.split(',')) {
    result.rows[flags] = {};
    for (const name of options.rows.split(',')) {
      const { inParts, isLong } = rows[name];
      if (isLong && flags === 'default') continue;
      const measured = inParts ? builds : { paceline: builds.paceline };
      const [rounds, cap] = isLong ? [LONG_ROUNDS, LONG_CAP_S] : [options.rounds, CAP_S];
      console.error(`${result.node} ${flags} ${name} (load ${load()})`);
      const argv = [name, String(rounds), String(cap), JSON.stringify(measured)];
      result.rows[flags][name] = { load: load(), entries: child(node, FLAGS[flags], 'measure', ...argv) };
    }
  }
  result.loadAfter = load();
  return result;
}

function load() {
  return loadavg()[0].toFixed(1);
}

/** What a child printed last; undefined if it failed or took ten minutes. */
function child(node, flags, script, ...argv) {
  const path = join(bench, 'pool', `${script}.mjs`);
  const { status, stdout, stderr } = spawnSync(node, [...flags, path, ...argv], {
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
    timeout: 600_000,
  });
  if (status === 0) return JSON.parse(stdout.trim().split('\n').at(-1));
  console.error(`${script} ${argv.slice(0, 2).join(' ')} failed:\n${stderr.split('\n').slice(0, 8).join('\n')}`);
  return undefined;
}
