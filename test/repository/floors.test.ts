import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import manifest from '../../package.json' with { type: 'json' };
import { findViolations, readSources } from './floors.js';

const src = fileURLToPath(new URL('../../src', import.meta.url));
const { peerDependencies = {} } = manifest as { peerDependencies?: Record<string, string> };

test('src keeps the rules of the house', () => {
  const sources = readSources(src);
  expect(sources.size).toBeGreaterThan(0);
  expect(findViolations(sources, Object.keys(peerDependencies))).toEqual([]);
});

describe('the rules notice', () => {
  // Each seed is one file that breaks one rule, and what is said of it.
  const seeds: readonly [path: string, text: string, violation: string][] = [
    ['core/a.ts', `import { b } from '../pool/b.js';`, 'imports ../pool/b.js, which is not below it'],
    ['pool/a.ts', `import { b } from '../retry/b.js';`, 'imports ../retry/b.js, which is not below it'],
    ['pool/a.ts', `import type { B } from '../retry/b.js';`, 'imports ../retry/b.js, which is not below it'],
    ['pool/a.ts', `export type { B } from '../batch/b.js';`, 'imports ../batch/b.js, which is not below it'],
    ['pool/a.ts', `type B = import('../retry/b.js').B;`, 'imports ../retry/b.js, which is not below it'],
    ['pool/a.ts', `const b = await import('../retry/b.js');`, 'imports ../retry/b.js, which is not below it'],
    ['batch/a.ts', `import { b } from '../upstream/b.js';`, 'imports ../upstream/b.js, which is not below it'],
    ['batch/a.ts', `import { b } from '../catalogue/b.js';`, 'imports ../catalogue/b.js, which is not below it'],
    ['testing/a.ts', `import { b } from '../index.js';`, 'imports ../index.js, which is not below it'],
    ['pool/a.ts', `import { b } from './b';`, 'imports ./b, without its .js'],
    ['core/a.ts', `import { b } from 'node:async_hooks';`, 'imports node:async_hooks, which other runtimes lack'],
    ['core/a.ts', `import type { B } from 'p-limit';`, 'imports p-limit, which is no part of the package'],
    ['adapters/a.ts', `import { b } from '@scope/other/b';`, 'imports @scope/other/b, which is no part of the package'],
    ['helpers/a.ts', `export {};`, 'is on no floor'],
    ['helpers.ts', `export {};`, 'is on no floor'],
    ['index.ts', `export * from './pool/b.js';`, 're-exports without naming'],
    ['index.ts', `export * as pool from './pool/b.js';`, 're-exports without naming'],
    ['index.ts', `export const a = 1;`, 'holds more than named re-exports'],
    ['index.ts', `import './pool/b.js';`, 'holds more than named re-exports'],
    ['index.ts', `export { default } from './pool/b.js';`, 'has a default export'],
    ['pool/a.ts', `export default class A {}`, 'has a default export'],
    ['pool/a.ts', `const a = 1; export { a as default };`, 'has a default export'],
    ['pool/a.ts', `Date.now();`, 'names Date, which belongs in core/clock.ts'],
    ['pool/a.ts', `globalThis.setTimeout(() => {}, 1);`, 'names setTimeout, which belongs in core/clock.ts'],
    ['pool/a.ts', `globalThis['performance'];`, 'names performance, which belongs in core/clock.ts'],
    ['pool/a.ts', `const { queueMicrotask: q } = globalThis;`, 'names queueMicrotask, which belongs in core/clock.ts'],
    ['pool/a.ts', `Math.random();`, 'uses Math.random, which belongs in core/clock.ts'],
    ['pool/a.ts', `const { random } = Math;`, 'uses Math.random, which belongs in core/clock.ts'],
    ['core/clock.ts', `globalThis.Promise.race([]);`, 'uses Promise.race, which retains its losers'],
    ['pool/a.ts', `AbortSignal['any']([]);`, 'uses AbortSignal.any, which retains its children'],
    ['pool/a.ts', `AbortSignal.timeout(1);`, 'uses AbortSignal.timeout, which is a timer that nobody can cancel'],
  ];

  test.each(seeds)('%s: %s', (path, text, violation) => {
    expect(findViolations(new Map([[path, text]]))).toContain(`${path}:1: ${violation}`);
  });
});

test('the rules let pass what keeps them', () => {
  const sources = new Map([
    ['core/clock.ts', `export const now = () => globalThis.performance.now() + Math.random() + Date.now();`],
    ['core/b.ts', `// Date, setTimeout\nexport const b = { race: () => 'performance', any: 1 }; b.race();`],
    [
      'pool/a.ts',
      `import { b } from '../core/b.js';\nexport { lanes } from './lanes.js';\nawait import('node:async_hooks');`,
    ],
    ['catalogue/a.ts', `import type { MissingResultError } from '../batch/errors.js';`],
    ['adapters/a.ts', `import type { Meter } from '@opentelemetry/api';`],
    ['index.ts', `export { a } from './pool/a.js';\nexport type { B } from './core/b.js';`],
  ]);
  expect(findViolations(sources, ['@opentelemetry/api'])).toEqual([]);
});
