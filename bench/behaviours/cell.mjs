// One cell of the table, in a process of its own: node --expose-gc cell.mjs <row> <library> <build>. Prints one line of JSON.
import { adapters } from './adapters.mjs';
import { cases } from './cases.mjs';
import { isWrong } from './support.mjs';

const LIMIT = 25_000;
const { needs = [], exits = false, run } = cases[Number(process.argv[2])];
const { unit = 100, offers, open } = adapters[process.argv[3]];

const unhandled = [];
process.on('unhandledRejection', (reason) => unhandled.push(String(reason)));
process.on('uncaughtException', (error) => answer('crashes', error));

const watchdog = setTimeout(answer, LIMIT, 'hangs');
const make = await open({ metrics: needs.includes('hits'), build: process.argv[4] });
const methods = make(async () => 1, {});
const missing = needs.filter((need) => !offers.includes(need) && methods[need] === undefined);

if (missing.length > 0) answer('-');
else {
  try {
    await run({ make, unit, offers: (what) => offers.includes(what) });
    await new Promise((resolve) => setTimeout(resolve, 30));
    answer(unhandled.length > 0 ? 'unhandled rejection' : 'yes', unhandled[0]);
  } catch (error) {
    if (isWrong(error)) answer(error.message, unhandled[0]);
    else answer('rejects', error);
  }
}

function answer(cell, detail) {
  clearTimeout(watchdog);
  process.stdout.write(`${JSON.stringify({ cell, detail: detail && String(detail).split('\n')[0] })}\n`, () => {
    if (!exits) process.exit(0);
  });
}
