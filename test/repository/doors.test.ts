import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { entry } from '../../tsup.config.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(root + path, 'utf8');

describe('each door of the package', () => {
  const { './package.json': _, ...doors } = manifest.exports as Record<string, unknown>;

  test('has an entry of the build, and no entry is without a door', () => {
    const names = Object.keys(doors).map((subpath) => (subpath === '.' ? 'index' : subpath.slice('./'.length)));
    expect(names.sort()).toEqual(Object.keys(entry).sort());
  });

  test.each(Object.entries(entry))('%s has a source, and leads to what is built from it', (name, source) => {
    expect(existsSync(root + source), source).toBe(true);
    const door = doors[name === 'index' ? '.' : `./${name}`];
    expect(door).toEqual({
      import: { types: `./dist/${name}.d.ts`, default: `./dist/${name}.js` },
      require: { types: `./dist/${name}.d.cts`, default: `./dist/${name}.cjs` },
    });
    // TypeScript takes the first condition that fits: `default` ahead of `types` would hide the types.
    expect(JSON.stringify(door)).not.toMatch(/"default":[^}]*"types":/);
  });
});

describe.each(Object.entries(entry))('each value that %s exports', (_, source) => {
  const guides = readdirSync(`${root}docs/guide`).filter((name) => name.endsWith('.md'));
  const guide = guides.map((name) => read(`docs/guide/${name}`)).join('\n');
  const values = exportedValues(source);

  test('is found at all', () => expect(values.length).toBeGreaterThan(0));

  test.each(values)('$name has a docstring', ({ docstring }) => expect(docstring).not.toBe(''));

  test.each(values)('$name is in the guide', ({ name }) => expect(guide).toMatch(new RegExp(`\\b${name}\\b`)));
});

test.each(['PromisePool', 'RequestCoalescer', 'batchAllSettled', 'retryWithBackoff', 'fireAndForget'])(
  'the README tells of %s',
  (primitive) => expect(read('README.md')).toContain(primitive),
);

function exportedValues(path: string): { name: string; docstring: string }[] {
  const { config } = ts.readConfigFile(`${root}src/tsconfig.json`, ts.sys.readFile);
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, `${root}src`);
  const program = ts.createProgram(fileNames, options);
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(root + path);
  const door = file && checker.getSymbolAtLocation(file);
  return (door ? checker.getExportsOfModule(door) : [])
    .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol))
    .filter((symbol) => symbol.flags & ts.SymbolFlags.Value)
    .map((symbol) => ({
      name: symbol.name,
      docstring: ts.displayPartsToString(symbol.getDocumentationComment(checker)),
    }));
}
