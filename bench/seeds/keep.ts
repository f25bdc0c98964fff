import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { chart } from './chart.js';
import { LATENCIES } from './latencies.js';
import type { Row } from './operation.js';
import { reasons, table } from './table.js';

export interface Run {
  /** ISO. */
  readonly date: string;
  readonly node: string;
  readonly cpu: string;
  /** Of the machine, before and after. */
  readonly load: readonly [number, number];
  readonly rows: readonly Row[];
}

const results = new URL('../results/', import.meta.url);
const guide = new URL('../../docs/guide/', import.meta.url);

export function report({ date, node, cpu, load, rows }: Run): string {
  const of = (seed: Row['seed']) => rows.filter((row) => row.seed === seed);
  const parts: string[] = [];
  if (of(1).length > 0) parts.push(`Seed 1, Async Performance Optimizations\n\n${table(of(1))}`);
  if (of(2).length > 0) parts.push(`Seed 2, Async Operation Optimization Report\n\n${table(of(2))}`);
  const unmet = reasons(rows);
  if (unmet.length > 0) parts.push(`Not met:\n\n${unmet.map((line) => `- ${line}`).join('\n')}`);
  parts.push(`${date.slice(0, 10)}, Node ${node}, ${cpu}, load ${load.map((value) => value.toFixed(1)).join(' to ')}.`);
  return parts.join('\n\n');
}

/** The samples as JSON, the chart, and the figures of the page. */
export function keep(run: Run): void {
  mkdirSync(results, { recursive: true });
  const file = new URL(`${run.date.slice(0, 10)}-seeds.json`, results);
  writeFileSync(file, `${JSON.stringify({ ...run, latencies: LATENCIES }, null, 2)}\n`);
  writeFileSync(new URL('images/seeds.svg', guide), chart(run.rows));
  const page = new URL('seeds.md', guide);
  const figures = `<!-- figures -->\n\n${report(run)}\n\n<!-- /figures -->`;
  writeFileSync(
    page,
    readFileSync(page, 'utf8').replace(/<!-- figures -->.*<!-- \/figures -->/s, () => figures),
  );
}
