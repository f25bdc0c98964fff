// The embedding server as a process of its own, so that its CPU and its event loop are not those of the program under measurement.
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import { createApp } from './app.js';
import { Model } from './model.js';
import { trigramVector } from './trigrams.js';

const { values } = parseArgs({
  options: {
    port: { type: 'string', default: '0' },
    'api-key': { type: 'string', default: 'local' },
    embedder: { type: 'string', default: 'model' },
    seed: { type: 'string', default: '1' },
    delay: { type: 'string', default: '450' },
    'fail-every': { type: 'string', default: '10' },
    'retry-after': { type: 'string', default: '1' },
    refuse: { type: 'string' },
  },
});

const model = values.embedder === 'model' ? new Model() : undefined;
const app = createApp({
  apiKey: values['api-key'],
  seed: Number(values.seed),
  delay: Number(values.delay),
  failEvery: Number(values['fail-every']),
  retryAfter: Number(values['retry-after']),
  refuse: values.refuse,
  vectorOf: async (text) => model?.vectorOf(text) ?? trigramVector(text),
});

app.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
app.listen(Number(values.port), '127.0.0.1', () => {
  const { port } = app.address() as AddressInfo;
  if (process.send === undefined) console.log(`http://127.0.0.1:${port}/v1`);
  else process.send({ port });
});

if (process.send !== undefined) {
  // Ctrl-C in a terminal reaches the whole group. The parent decides what to do with the calls in flight, so the server outlives it.
  process.on('SIGINT', () => {});
  process.on('disconnect', () => process.exit(0));
}
