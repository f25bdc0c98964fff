// The site as a process of its own, so that its CPU and its event loop are not those of the program under measurement.
import type { AddressInfo } from 'node:net';
import { createUpstream } from '../../../examples/upstreams/src/server.js';
import type { Weather } from '../../../examples/upstreams/src/weather.js';
import { createSite } from './site.js';

const server = createUpstream(createSite(), JSON.parse(process.argv[2] ?? '{}') as Weather);
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit(0));
