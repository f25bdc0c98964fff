// node bench/retry/run.mjs [--rounds 9 --rows success,twice --nodes 20,24]
// Each row in a process of its own, on this Node and on Node 24 if it is there. The rivals are those of bench:pool. Prints Markdown;
// the samples go to bench/results.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { build } from 'tsup';
import { rows } from './rows.mjs';

const root = new URL('../..', import.meta.url).pathname;
const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '9' },
    rows: { type: 'string', default: Object.keys(rows).join() },
    nodes: { type: 'string', default: '20,24' },
  },
});
// Not `dist`: nobody's rebuild gets in the way.
const outDir = join(root, '.cache/bench/retry');
const entry = { retry: join(root, 'src/retry/index.ts'), limits: join(root, 'src/limits/index.ts') };
await build({
  entry,
  outDir,
  format: 'esm',
  target: 'es2022',
  dts: false,
  silent: true,
  config: false,
  splitting: true,
});
const all = join(outDir, 'all.js');
writeFileSync(all, "export * from './retry.js';\nexport { RetryBudget } from './limits.js';\n");

const node24 = join(root, 'bench/node_modules/node24/bin/node');
const nodes = [process.execPath, ...(existsSync(node24) ? [node24] : [])];
const result = { date: new Date().toISOString(), cpu: `${cpus().length} x ${cpus()[0].model}`, nodes: {} };
for (const node of nodes) {
  const version = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  if (!options.nodes.split(',').includes(version.slice(1).split('.')[0])) continue;
  result.nodes[version] = {};
  for (const row of options.rows.split(',')) {
    const argv = ['--single-threaded-gc', join(root, 'bench/retry/measure.mjs'), row, options.rounds, all];
    const { stdout, stderr, status } = spawnSync(node, argv, { encoding: 'utf8', timeout: 600_000 });
    if (status !== 0) throw new Error(stderr);
    result.nodes[version][row] = { load: loadavg()[0].toFixed(1), entries: JSON.parse(stdout) };
    print(version, row, result.nodes[version][row]);
  }
}
mkdirSync(join(root, 'bench/results'), { recursive: true });
const file = join(root, `bench/results/${result.date.slice(0, 10)}-retry.json`);
writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
spawnSync('npx', ['biome', 'format', '--write', file], { cwd: root });

function print(version, row, { load, entries }) {
  const lines = entries.map(({ name, samples }) => {
    const of = (key) => samples.map((sample) => sample[key]).sort((a, b) => a - b);
    const ratios = of('ratio');
    const middle = Math.floor(ratios.length / 2);
    const spread = `${ratios[0].toFixed(2)}–${ratios.at(-1).toFixed(2)}`;
    return `| ${name} | ${ratios[middle].toFixed(2)} (${spread}) | ${Math.round(of('ns')[middle])} | ${Math.round(of('direct')[middle])} |`;
  });
  console.log(
    `\n${rows[row].title}, Node ${version}, load ${load}\n\n| | times a direct await | ns | ns, direct |\n|---|---|---|---|\n${lines.join('\n')}`,
  );
}
