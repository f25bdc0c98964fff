import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** Runs a command in sight, and ends this process if it fails. */
export function run(command, args, options) {
  if (!tryRun(command, args, options)) process.exit(1);
}

/** Runs a command in sight. Tells whether it succeeded. */
export function tryRun(command, args, options) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) console.error(`${command}: ${error.message}`);
  else if (status !== 0) console.error(`failed with ${status}: ${[command, ...args].join(' ')}`);
  return status === 0;
}

/** Builds and packs the library, as a release does. Returns the path of the tarball inside `folder`. */
export function pack(folder) {
  mkdirSync(folder, { recursive: true });
  run('npm', ['pack', '--silent', '--pack-destination', folder]);
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'));
  return join(folder, tarball);
}

/** A new folder outside of the repository, so that nothing in it is found by accident. Gone when the process ends. */
export function makeTemporaryFolder() {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-'));
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
