import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { entry } from './tsup.config.js';

// Tests run against the source, those of the examples too. What is built and packed has gates of its own.
const alias = Object.entries(entry).map(([name, file]) => ({
  find: name === 'index' ? /^paceline$/ : new RegExp(`^paceline/${name}$`),
  replacement: fileURLToPath(new URL(file, import.meta.url)),
}));

export default defineConfig(({ mode }) => {
  const full = mode === 'full';
  const runtime = {
    env: { PACELINE_RUNS: process.env.PACELINE_RUNS ?? (full ? '2000' : '100') },
    testTimeout: full ? 180_000 : 20_000,
    // Examples start databases, on machines that may be busy.
    hookTimeout: 60_000,
  };

  return {
    resolve: { alias },
    test: {
      projects: [
        { extends: true, test: { ...runtime, name: 'unit', include: ['test/**/*.test.ts'] } },
        {
          extends: true,
          test: {
            name: 'types',
            include: [],
            typecheck: {
              enabled: true,
              only: true,
              include: ['test/types/**/*.test-d.ts'],
              tsconfig: 'test/tsconfig.json',
            },
          },
        },
        { extends: true, test: { ...runtime, name: 'examples', include: ['examples/*/test/**/*.test.ts'] } },
      ],
      // A map of what no test walks through, not a number to reach.
      coverage: { provider: 'v8', include: ['src/**/*.ts'], exclude: ['**/*.d.ts'], reporter: ['text', 'html'] },
    },
  };
});
