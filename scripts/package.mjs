// What would be published: is it complete, well-formed, and do its types resolve everywhere?
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { makeTemporaryFolder, pack, root, run } from './support.mjs';

const tarball = pack(makeTemporaryFolder());

const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' }).trim().split('\n');
const wanted = [
  'LICENSE',
  'README.md',
  'CHANGELOG.md',
  'package.json',
  'dist/index.js',
  'dist/index.d.cts',
  'dist/testing.js',
  'dist/testing.d.cts',
];
const missing = wanted.filter((file) => !files.includes(`package/${file}`));
const stray = files.filter(
  (file) => !/^package\/(dist\/.+\.c?(js|d\.ts|d\.cts|js\.map)|[A-Z]+(\.md)?|package\.json)$/.test(file),
);
if (missing.length > 0 || stray.length > 0) {
  console.error('missing from the tarball:', missing, 'not meant for it:', stray);
  process.exit(1);
}

const bin = (name) => join(root, 'node_modules/.bin', name);
run(bin('publint'), ['--strict', tarball]);
run(bin('attw'), ['--profile', 'node16', tarball]);
