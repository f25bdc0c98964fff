import type { Phase, Trace } from './simulation.js';

export interface PhaseFigures {
  readonly slots: number;
  /** Successes against what the slots can serve, once settled. */
  readonly throughput: number;
  /** Overloads among all calls, once settled. */
  readonly shedShare: number;
  /** Overloads among all calls, from the start of the phase. */
  readonly shedShareInAll: number;
  /** Of calls that succeeded, ms, once settled. */
  readonly p50: number;
  readonly p99: number;
  /** From the start of the phase until the limit is within 25 % of the slots, then and in the mean of the rest of the phase, ms. */
  readonly settledAfter: number;
  readonly meanLimit: number;
  readonly lowest: number;
  readonly highest: number;
}

const MEAN_MS = 50;

/** One for each phase. The first `settleMs` of a phase are left out where it says "once settled". */
export function figures(trace: Trace, phases: readonly Phase[], settleMs: number): PhaseFigures[] {
  let begins = 0;
  return phases.map((phase) => {
    const from = begins;
    const to = begins + phase.forMs;
    const settled = from + settleMs;
    begins = to;
    const all = trace.calls.filter(({ endedAt }) => endedAt >= from && endedAt < to);
    const calls = all.filter(({ endedAt }) => endedAt >= settled);
    const runs = calls
      .filter(({ verdict }) => verdict === 'success')
      .map(({ startedAt, endedAt }) => endedAt - startedAt)
      .sort((a, b) => a - b);
    const ideal = ((to - settled) / (phase.serviceMs ?? MEAN_MS)) * phase.slots;
    const limits = trace.limits.filter(([at]) => at >= settled && at < to).map(([, limit]) => limit);
    limits.push(limitAt(trace, settled));
    return {
      slots: phase.slots,
      throughput: runs.length / ideal,
      shedShare: share(calls),
      shedShareInAll: share(all),
      p50: runs[Math.floor(runs.length * 0.5)] ?? 0,
      p99: runs[Math.floor(runs.length * 0.99)] ?? 0,
      settledAfter: settledAfter(trace, phase.slots, from, to),
      meanLimit: meanLimit(trace, settled, to),
      lowest: Math.min(...limits),
      highest: Math.max(...limits),
    };
  });
}

function share(calls: Trace['calls']): number {
  return calls.filter(({ verdict }) => verdict === 'overload').length / Math.max(calls.length, 1);
}

function limitAt(trace: Trace, at: number): number {
  return trace.limits.filter(([since]) => since <= at).at(-1)?.[1] ?? Number.NaN;
}

function meanLimit({ limits }: Trace, from: number, to: number): number {
  let sum = 0;
  for (const [i, [since, limit]] of limits.entries()) {
    const until = limits[i + 1]?.[0] ?? Number.POSITIVE_INFINITY;
    sum += limit * Math.max(Math.min(until, to) - Math.max(since, from), 0);
  }
  return sum / (to - from);
}

function settledAfter(trace: Trace, slots: number, from: number, to: number): number {
  const isRight = (limit: number): boolean => Math.abs(limit - slots) <= slots / 4;
  for (let at = from; at + 1_000 <= to; at += 50) {
    if (isRight(limitAt(trace, at)) && isRight(meanLimit(trace, at, to))) return at - from;
  }
  return Number.POSITIVE_INFINITY;
}
