import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';

const inRoot = (path: string): string => fileURLToPath(new URL(`../../${path}`, import.meta.url));

/** What our linter says of these files. */
function lint(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'paceline-lint-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  cpSync(inRoot('biome.json'), join(folder, 'biome.json'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  const biome = inRoot('node_modules/@biomejs/biome/bin/biome');
  const args = [biome, 'lint', '--vcs-enabled=false', '--reporter=github'];
  return spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' }).stdout;
}

// The rule is young in our linter, and one that has silently stopped is worse than none.
test('the linter notices a floating promise, across files and generics too', () => {
  const pool = 'export class Pool {\n  async execute<T>(task: () => T): Promise<T> {\n    return task();\n  }\n}\n';
  const report = lint({
    'src/pool.ts': pool,
    'src/index.ts': "export { Pool } from './pool.js';\n",
    'test/floating.ts': "import { Pool } from '../src/index.js';\n\nnew Pool().execute(() => 1);\n",
    'test/kept.ts': "import { Pool } from '../src/index.js';\n\nawait new Pool().execute(() => 1);\n",
  });
  expect(report).toMatch(/noFloatingPromises.*test\/floating\.ts/);
  expect(report).not.toContain('kept.ts');
});
