// npm run bench:upstream: what all layers cost, one call after the other and ten thousand at once.
import { fileURLToPath } from 'node:url';
import { run } from '../ratio/run.mjs';
import { names } from './measure.mjs';

run({
  name: 'upstream',
  script: fileURLToPath(new URL('./measure.mjs', import.meta.url)),
  rows: names,
  processes: 3,
  besideOf: () => 'a bare `await task()`',
});
