import { defineConfig } from 'tsup';

/** One entry for each subpath of the package: `testing` is `paceline/testing`. */
export const entry = { index: 'src/index.ts', testing: 'src/testing/index.ts' };

export default defineConfig({
  entry,
  format: ['esm', 'cjs'],
  target: ['node20', 'es2022'],
  // Without shared chunks every CommonJS entry gets its own copy of each class, and `instanceof` fails between them.
  splitting: true,
  treeshake: true,
  sourcemap: true,
  clean: true,
  tsconfig: 'src/tsconfig.json',
  dts: {
    compilerOptions: {
      // tsup sets `baseUrl`, which TypeScript 6 refuses without this.
      ignoreDeprecations: '6.0',
      types: ['./src/core/globals.d.ts'],
    },
    // The types stand on their own under `lib: ['es2022'], types: []`: `Disposable` comes from its lib, and the empty
    // `AbortSignal` merges into the one of the DOM, Node or a worker, and stands in where there is none.
    banner: '/// <reference lib="esnext.disposable" />\ndeclare global { interface AbortSignal {} }\n',
  },
});
