import type { PoolMetrics } from 'paceline';
import type { Hit } from './store-worker.js';

/** One way of working through all passages. */
export interface Run {
  readonly label: string;
  readonly ms: number;
  readonly retries: number;
  readonly pool: PoolMetrics;
}

export function comparison(runs: readonly Run[]): string {
  const first = runs[0]?.ms ?? 0;
  const rows: [string, (run: Run) => string][] = [
    ['time', ({ ms }) => seconds(ms)],
    ['speed-up', ({ ms }) => (runs.length > 1 ? `${(first / ms).toFixed(1)} x` : '-')],
    ['calls', ({ pool }) => String(pool.calls)],
    ['retries', ({ retries }) => String(retries)],
    ['p50 of a call', ({ pool }) => milliseconds(pool.runMs.p50)],
    ['p90', ({ pool }) => milliseconds(pool.runMs.p90)],
    ['p99', ({ pool }) => milliseconds(pool.runMs.p99)],
    ['most in flight', ({ pool }) => String(pool.peakRunning)],
  ];
  return table([['', ...runs.map(({ label }) => label)], ...rows.map(([name, cell]) => [name, ...runs.map(cell)])]);
}

export function poolFigures(pool: PoolMetrics): string {
  const { calls, fulfilled, failed, timedOut, aborted, refused } = pool;
  return [
    `Pool ${pool.name}, limit ${pool.concurrency ?? 'none'}:`,
    `  ${count(calls, 'call')} = ${fulfilled} fulfilled + ${failed} failed + ${timedOut} timed out + ${aborted} aborted + ${refused} refused`,
    `  failure rate ${(pool.failureRate * 100).toFixed(1)} %; longest queue ${pool.peakQueued}, longest wait ${milliseconds(pool.waitMs.max)}`,
  ].join('\n');
}

export function answer(question: string, hits: readonly Hit[]): string {
  const found = hits.map(
    (hit, i) => `${i + 1}. ${hit.similarity.toFixed(2)}  ${hit.file}:${hit.line}\n   ${excerpt(hit.text)}`,
  );
  return [question, ...found].join('\n');
}

export function count(n: number, noun: string): string {
  return `${n} ${noun}${n === 1 ? '' : 's'}`;
}

export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

function milliseconds(ms: number): string {
  return `${Math.round(ms)} ms`;
}

function excerpt(text: string): string {
  const MOST = 160;
  return text.length <= MOST ? text : `${text.slice(0, text.lastIndexOf(' ', MOST))} …`;
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
        .join('   '),
    )
    .join('\n');
}
