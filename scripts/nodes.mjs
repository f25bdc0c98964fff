// Runs the tests on the other Nodes that we support: each keeps the async context in its own way. They are installed here, on
// demand, and kept in .cache.
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, tryRun } from './support.mjs';

if (process.platform !== 'linux' || process.arch !== 'x64') {
  console.log('not run: the tests on other Nodes: their packages are for Linux x64');
  process.exit();
}

const folder = join(root, '.cache/nodes');
mkdirSync(folder, { recursive: true });
cpSync(join(root, 'test/nodes/package.json'), join(folder, 'package.json'));
run('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], { cwd: folder });

let ok = true;
const { devDependencies } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
for (const [name, version] of Object.entries(devDependencies)) {
  console.log(`\n${version}`);
  const node = join(folder, 'node_modules', name, 'bin/node');
  ok = tryRun(node, [join(root, 'node_modules/vitest/vitest.mjs'), 'run', '--project', 'unit']) && ok;
}
process.exitCode = ok ? 0 : 1;
