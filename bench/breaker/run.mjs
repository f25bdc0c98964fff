// npm run bench:breaker: what a closed breaker costs, around a call and in front of a pool.
import { fileURLToPath } from 'node:url';
import { run } from '../ratio/run.mjs';
import { names } from './measure.mjs';

run({
  name: 'breaker',
  script: fileURLToPath(new URL('./measure.mjs', import.meta.url)),
  rows: names,
  processes: 5,
  besideOf: (row) => (row === 'execute' ? 'a bare `await task()`' : 'a pool without gates'),
});
