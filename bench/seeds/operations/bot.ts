import { measureBot, type SeedRow } from '../../../examples/discord-bot/bench/seeds.js';
import type { Claim } from '../claims.js';
import { type Row, type RowPlan, rowOf, summaryOf } from '../operation.js';

/** By what a row's name begins with. */
const REASONS: Readonly<Record<string, string>> = {
  'calls saved':
    'Of all calls of the recording, the first of each kind included; of the repeated ones alone it is more.',
};

/** Beside its table the seed says "2-3x faster for complex queries requiring multiple context sources": four of them here. */
const COMPLEX: Claim = { gain: { kind: 'factor', from: 2, to: 3 } };

/** Seed 2: the running Discord bot, by its own measurement. */
export async function measureDiscordBot(rounds: number): Promise<Row[]> {
  const rows = await measureBot({ runs: rounds });
  return rows.flatMap((row) => {
    const { before, after } = row.measured;
    const [fast, slow] = [summaryOf([after]), before === undefined ? undefined : summaryOf([before])];
    const own = rowOf(2, planOf(row), slow, fast);
    if (row.name !== 'all three') return [own];
    return [own, rowOf(2, { name: 'Complex query: the same three as a factor', claim: COMPLEX }, slow, fast)];
  });
}

function planOf({ name, unit, claimed: { before, after } }: SeedRow): Omit<RowPlan, 'before' | 'after'> {
  const [, reason] = Object.entries(REASONS).find(([start]) => name.startsWith(start)) ?? [];
  const plan = { name: `${name[0]?.toUpperCase()}${name.slice(1)}`, ...(reason && { reason }) };
  if (unit === 'share' || before === undefined) return { ...plan, claim: { gain: { kind: 'rate', from: after } } };
  return { ...plan, claim: { before, after, gain: { kind: 'less', from: 1 - after / before } } };
}
