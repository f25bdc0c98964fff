import { gatherAllSettled } from 'paceline';
import type { BotConfig } from './config.js';
import type { Globals } from './globals.js';
import type { Store } from './store.js';

/** What `/status` says. All of it is asked for at once, and what does not come shows as `?`. */
export async function statusText(globals: Globals, store: Store, { quota }: BotConfig): Promise<string> {
  const { globalPools, globalCoalescers, gemini, background } = globals;
  const { values } = await gatherAllSettled({ usage: () => store.usage(), conversations: () => store.conversations() });
  const model = globalPools.gemini.getMetrics();
  const handlers = globalPools.handlers.getMetrics();
  const { callMs } = gemini.getMetrics();
  return [
    `model: ${gemini.breaker?.state === 'closed' ? 'up' : gemini.breaker?.state}, ${model.running} running, ${model.queued} queued; answers p50 ${seconds(callMs.p50)}, p90 ${seconds(callMs.p90)}, p99 ${seconds(callMs.p99)}`,
    `quota: ${quota.requestsPerMinute} requests and ${quota.tokensPerMinute} tokens a minute; ${values.usage?.tokens ?? '?'} tokens so far`,
    `questions: ${handlers.running} being answered, ${handlers.queued} waiting, ${handlers.refused} sent away`,
    `conversations: ${values.conversations?.exchanges ?? '?'} with ${values.conversations?.people ?? '?'} people`,
    ...Object.values(globalCoalescers).map((coalescer) => {
      const { name, calls, hitRate, savedRate } = coalescer.getMetrics();
      return `${name}: ${calls} calls, ${percent(hitRate)} hits, ${percent(savedRate)} saved`;
    }),
    `background failures: ${percent(background.getMetrics().failureRate)}`,
  ].join('\n');
}

export function percent(share: number): string {
  return `${(100 * share).toFixed(0)} %`;
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
