import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };

const root = fileURLToPath(new URL('../../', import.meta.url));

const SKIPPED = new Set(['.cache', '.git', 'coverage', 'dist', 'node_modules', 'site']);

interface Manifest {
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

test('the package depends on nothing', () => {
  expect(manifest).not.toHaveProperty('dependencies');
});

test('importing it does nothing, and bundlers are told so', () => {
  expect(manifest.sideEffects).toBe(false);
});

test('the changelog knows the version', () => {
  expect(readFileSync(`${root}CHANGELOG.md`, 'utf8')).toContain(`## ${manifest.version}\n`);
});

/** Packages of this repository: they are taken as they stand. */
const ours = new Set(
  manifests().map((path) => (JSON.parse(readFileSync(root + path, 'utf8')) as { name: string }).name),
);

test.each(manifests())('%s pins exact versions: there is no lockfile', (path) => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync(root + path, 'utf8')) as Manifest;
  const loose = Object.entries({ ...dependencies, ...devDependencies }).filter(
    ([name, version]) => !ours.has(name) && !/^(npm:(@[^@]+|[^@]+)@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version),
  );
  expect(loose).toEqual([]);
});

/** Every package.json of the repository. */
function manifests(folder = ''): string[] {
  return readdirSync(root + folder, { withFileTypes: true }).flatMap((file) => {
    if (file.isDirectory()) return SKIPPED.has(file.name) ? [] : manifests(`${folder}${file.name}/`);
    return file.name === 'package.json' ? [folder + file.name] : [];
  });
}
