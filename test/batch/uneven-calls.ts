/*
 * 50 calls of uneven length in 5 lanes: by a window that slides, and in chunks of five with a barrier after each. The
 * test proves that this is what the library does; bench/batch/draw.mjs draws it.
 */

export const LANES = 5;

/** Most take 40 to 120 ms, one in seven 400: what slow pages among quick ones look like. */
export const TIMES = Array.from({ length: 50 }, (_, i) => (i % 7 === 3 ? 400 : 40 + ((i * 37) % 81)));

export interface Span {
  readonly index: number;
  readonly lane: number;
  readonly start: number;
  readonly end: number;
}

export function total(times: readonly number[]): number {
  return times.reduce((sum, time) => sum + time, 0);
}

export function endOf(spans: readonly Span[]): number {
  return Math.max(...spans.map(({ end }) => end));
}

/** Whichever lane is free first takes the next call. */
export function slidingWindow(times: readonly number[], lanes: number): Span[] {
  const free = new Array<number>(lanes).fill(0);
  return times.map((time, index) => {
    const start = Math.min(...free);
    const lane = free.indexOf(start);
    const end = start + time;
    free[lane] = end;
    return { index, lane, start, end };
  });
}

/** So many at once, and the next so many when all of these have ended. */
export function barriers(times: readonly number[], lanes: number): Span[] {
  const spans: Span[] = [];
  let start = 0;
  for (let first = 0; first < times.length; first += lanes) {
    const chunk = times.slice(first, first + lanes);
    for (const [lane, time] of chunk.entries()) spans.push({ index: first + lane, lane, start, end: start + time });
    start += Math.max(...chunk);
  }
  return spans;
}
