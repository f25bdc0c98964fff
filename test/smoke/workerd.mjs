// Runs worker.mjs in workerd, Cloudflare's runtime.
import { readdirSync, readFileSync } from 'node:fs';
import { Miniflare } from 'miniflare';

const dist = new URL('./node_modules/paceline/dist/', import.meta.url);
const module = (path, file) => ({ type: 'ESModule', path, contents: readFileSync(file, 'utf8') });
const here = (name) => module(name, new URL(name, import.meta.url));

const chunks = readdirSync(dist).filter((name) => /^chunk-.*\.js$/.test(name));

const miniflare = new Miniflare({
  compatibilityDate: '2026-04-01',
  modules: [
    here('worker.mjs'),
    here('checks.mjs'),
    module('paceline', new URL('index.js', dist)),
    module('paceline/testing', new URL('testing.js', dist)),
    // Beside each door: what is imported as `./chunk` is looked for in the folder of the importer's name.
    ...chunks.flatMap((name) => ['', 'paceline/'].map((folder) => module(folder + name, new URL(name, dist)))),
  ],
});

try {
  const { ran, failures } = await (await miniflare.dispatchFetch('http://localhost/')).json();
  for (const failure of failures) console.error(failure);
  console.log(`workerd: ${ran - failures.length} passed, ${failures.length} failed`);
  process.exitCode = failures.length === 0 ? 0 : 1;
} finally {
  await miniflare.dispose();
}
