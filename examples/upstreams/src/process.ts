// One server as a process of its own, so that its CPU and its event loop are not those of the program under measurement.
import type { AddressInfo } from 'node:net';
import type { App } from './app.js';
import { type Kind, kinds } from './kinds.js';
import { createUpstream } from './server.js';
import type { Weather } from './weather.js';

/** What the parent says in the one argument, as JSON. */
export interface ProcessOptions {
  readonly kind: Kind;
  readonly port: number;
  readonly weather: Weather;
  readonly options: object;
}

const { kind, port, weather, options } = JSON.parse(process.argv[2] ?? '') as ProcessOptions;
const server = createUpstream(kinds[kind](options) as App, weather);
server.on('error', (error) => {
  console.error(error.message);
  process.exit(1);
});
server.listen(port, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));

// Ctrl-C in a terminal, and some supervisors, reach the whole group. The parent decides what to do with the calls in flight, so the server
// outlives it.
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => {});
process.on('disconnect', () => process.exit(0));
