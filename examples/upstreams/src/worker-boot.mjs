// The one file that is not TypeScript: on Node 20 a thread inherits its process's flags but not the loader that they
// installed, so something has to install it again.
import { workerData } from 'node:worker_threads';
import { register } from 'tsx/esm/api';

register();
await import(workerData);
