// Compiles small apps against the packed types: oldest TypeScript only, or with --all each that we support.
// With `skipLibCheck: false`, and in platforms that differ in what they declare themselves.
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeTemporaryFolder, pack, root, run, tryRun } from './support.mjs';

const ALL = ['5.4.5', '5.9.3', '6.0.3', '7.0.2'];
const versions = process.argv.includes('--all') ? ALL : ALL.slice(0, 1);

const PLATFORMS = {
  // No AbortSignal, no timers, nothing but the language.
  bare: { lib: ['es2022'], types: [] },
  dom: { lib: ['es2022', 'dom'], types: [] },
  node: { lib: ['es2022'], types: ['node'] },
  'dom and node': { lib: ['es2022', 'dom'], types: ['node'] },
  workers: { lib: ['es2022'], types: ['@cloudflare/workers-types'] },
};
const RESOLUTIONS = [
  { module: 'node16', moduleResolution: 'node16' },
  { module: 'es2022', moduleResolution: 'bundler' },
];

const app = makeTemporaryFolder();
cpSync(join(root, 'test/consumer'), app, { recursive: true });
const tarball = pack(join(app, 'tarball'));
const compilers = versions.map((version) => `typescript-${version}@npm:typescript@${version}`);
run('npm', ['install', '--no-package-lock', '--no-audit', '--no-fund', tarball, ...compilers], { cwd: app });

let ok = true;
for (const version of versions) {
  for (const [platform, settings] of Object.entries(PLATFORMS)) {
    for (const resolution of RESOLUTIONS) {
      const files = ['language.ts'];
      if (platform !== 'bare') files.push('platform.ts');
      if (resolution.module === 'node16') files.push('commonjs.cts');
      const compilerOptions = {
        target: 'es2022',
        strict: true,
        exactOptionalPropertyTypes: true,
        skipLibCheck: false,
        noEmit: true,
        ...resolution,
        ...settings,
      };
      writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files }));
      console.log(`TypeScript ${version}, ${platform}, ${resolution.moduleResolution}`);
      const tsc = join(app, `node_modules/typescript-${version}/bin/tsc`);
      ok = tryRun(process.execPath, [tsc, '-p', app], { cwd: app }) && ok;
    }
  }
}
process.exitCode = ok ? 0 : 1;
