// Runs the packed package on each runtime we promise. The runtimes are heavy: they are installed here, on demand, and kept
// in .cache.
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryFolder, pack, root, run, tryRun } from './support.mjs';

const app = join(root, '.cache/smoke');
mkdirSync(app, { recursive: true });
cpSync(join(root, 'test/smoke'), app, { recursive: true });
run('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund'], { cwd: app });

const installed = join(app, 'node_modules/paceline');
rmSync(installed, { recursive: true, force: true });
mkdirSync(installed);
run('tar', ['-xzf', pack(makeTemporaryFolder()), '-C', installed, '--strip-components=1']);

const bin = (name) => join(app, 'node_modules/.bin', name);
const runtimes = {
  node: [process.execPath, ['--test', 'import.test.mjs', 'runtime.test.mjs']],
  bun: [bin('bun'), ['test', 'runtime.test.mjs']],
  deno: [bin('deno'), ['test', '-A', '--no-check', 'runtime.test.mjs']],
  workerd: [process.execPath, ['workerd.mjs']],
};

let ok = true;
for (const [name, [command, args]] of Object.entries(runtimes)) {
  console.log(`\n${name}`);
  ok = tryRun(command, args, { cwd: app }) && ok;
}
process.exitCode = ok ? 0 : 1;
