// The hard cases of sharing a load. `run` ends if the library does the right thing, and throws `wrong('what happened')` if not. `needs`:
// what a library must offer (`offers`, or a method of the adapter), else its cell is "-". COAL-n: the reports of it that
// docs/known-bugs.md lists.
import { flights } from './cases-flights.mjs';
import { keeping } from './cases-keeping.mjs';
import { values } from './cases-values.mjs';

export const cases = [...flights, ...values, ...keeping];
