import type { DurationSummary, MetricsSnapshot } from 'paceline';
import { percent } from './status.js';

/** The figures to watch, of pools, coalescers and background work, one line each. */
export function reportOf({ pools, coalescers, upstreams, background }: MetricsSnapshot): readonly string[] {
  return [
    ...Object.values(pools).map(
      ({ name, running, queued, peakQueued, refused, waitMs, runMs }) =>
        `${label(name)} running ${running}, queued ${queued} (peak ${peakQueued}), refused ${refused}; waited ${times(waitMs)}; ran ${times(runMs)}`,
    ),
    ...Object.values(upstreams).map(
      ({ name, calls, failed, refused, callMs, retry, breaker }) =>
        `${label(name)} calls ${calls}, failed ${failed}, refused ${refused}, repeats ${retry?.retries ?? 0}, breaker ${breaker?.state ?? 'none'}; took ${times(callMs)}`,
    ),
    ...Object.values(coalescers).map(
      ({ name, calls, loads, hitRate, savedRate }) =>
        `${label(name)} calls ${calls}, loads ${loads}; hits ${percent(hitRate)}, saved ${percent(savedRate)}`,
    ),
    ...Object.values(background).map(
      ({ name, accepted, failed, refused, failureRate }) =>
        `${label(name)} tasks ${accepted}, failed ${failed} (${percent(failureRate)}), refused ${refused}`,
    ),
  ];
}

function label(name: string): string {
  return name.padEnd(18);
}

function times({ p50, p90, p99 }: DurationSummary): string {
  return `p50/p90/p99 ${[p50, p90, p99].map((ms) => ms.toFixed(0)).join('/')} ms`;
}
