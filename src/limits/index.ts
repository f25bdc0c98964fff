export { retryAfter } from './retry-after.js';
