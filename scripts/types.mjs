// Type-checks every project of the repository. The examples and the benchmarks see what is built in dist, as an app would.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { root, tryRun } from './support.mjs';

const tsc = join(root, 'node_modules/typescript/bin/tsc');
const examples = readdirSync(join(root, 'examples')).map((name) => `examples/${name}`);
const projects = ['src', '.', 'test', ...examples, 'bench', 'bench/seeds'].filter((path) =>
  existsSync(join(root, path, 'tsconfig.json')),
);

let ok = true;
for (const project of projects) {
  // The rivals are heavy, so the benchmarks have an install of their own.
  if (project === 'bench' && !existsSync(join(root, 'bench/node_modules'))) {
    console.log('not run: types of bench: its rivals are not installed (npm install --prefix bench)');
    continue;
  }
  console.log(`tsc -p ${project}`);
  ok = tryRun(process.execPath, [tsc, '-p', project]) && ok;
}
process.exitCode = ok ? 0 : 1;
