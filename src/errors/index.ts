export { isRefusedError } from '../core/errors.js';
export { type ErrorByCode, isPacelineError } from './catalogue.js';
