// What is measured: the library as its sources stand, built beside `dist`, so that nobody's rebuild gets in the way; and copies of
// it with one thing taken out, which tell what that thing costs. They are no options of the library.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
const folder = join(root, '.cache/bench');

const without = {
  'paceline, timing off': ['if (this.#skip === 0) return true;', 'return false;'],
  'paceline, context off': ['if (Type === void 0) return byResource(Type);', 'return byResource(void 0);'],
};

/** name -> path, the library itself first; and what tells this build from another. */
export function makeBuilds() {
  const path = build('paceline');
  const text = readFileSync(path, 'utf8');
  const builds = { paceline: path };
  for (const [name, [found, instead]] of Object.entries(without)) {
    if (text.split(found).length !== 2) throw new Error(`${name}: the build has no single ${JSON.stringify(found)}`);
    const copy = join(folder, name.replaceAll(/\W+/g, '-'));
    mkdirSync(copy, { recursive: true });
    builds[name] = join(copy, 'index.js');
    writeFileSync(
      builds[name],
      text.replace(found, () => instead),
    );
  }
  return { builds, sha256: createHash('sha256').update(text).digest('hex') };
}

function build(name) {
  const args = ['tsup', '--no-dts', '--silent', '--out-dir', join('.cache/bench', name)];
  const { status } = spawnSync('npx', args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) throw new Error('the build failed');
  return join(folder, name, 'index.js');
}
