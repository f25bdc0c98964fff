export { type GateLaw, gateLaws } from './gate-laws.js';
