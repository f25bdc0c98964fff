// What a library adds to a bundle: everything that its column of the table needs from it, minified and gzipped.
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** @returns kB (1000 bytes). */
export async function sizeOf(source, paceline) {
  if (source === undefined) return undefined;
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: fileURLToPath(new URL('..', import.meta.url)) },
    alias: { paceline },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'node',
    write: false,
    logLevel: 'error',
  });
  return Math.round(gzipSync(outputFiles[0].contents, { level: 9 }).length / 100) / 10;
}
