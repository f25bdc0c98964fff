import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Group, Lanes, type Level } from '../../src/pool/lanes.js';
import { property } from '../support/runs.js';
import { NaiveLanes } from './naive-lanes.js';

interface Item {
  readonly id: number;
  isDead: boolean;
}

const names = ['', 'a', 'b', 'c'];
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('push' as const),
      level: fc.integer({ min: 0, max: 2 }),
      group: fc.constantFrom(...names),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('take' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('leave' as const), which: fc.nat() }) },
);

/** `gc` of a process that was not started with it. */
function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

function group(lanes: Lanes<Item>, name: string): Group<Item> {
  return name === '' ? lanes.ungrouped : lanes.group(name, name);
}

describe('lanes', () => {
  property([fc.array(step, { maxLength: 200, size: 'max' }), fc.constantFrom(1, 2, Number.POSITIVE_INFINITY)])(
    'choose what the rule chooses, whatever comes and ends',
    (steps, perGroup) => {
      const lanes = new Lanes<Item>(perGroup);
      const model = new NaiveLanes<Item>(perGroup);
      const running: { group: Group<Item>; name: string }[] = [];
      const nameOf = new Map<number, string>();
      let id = 0;
      for (const each of steps) {
        if (each.do === 'push') {
          const item = { id: id++, isDead: false };
          nameOf.set(item.id, each.group);
          lanes.push(item, each.level as Level, group(lanes, each.group));
          model.push(item, each.level, each.group);
        } else if (each.do === 'take') {
          const taken = lanes.take();
          expect(taken?.id).toBe(model.take()?.id);
          if (taken !== undefined) {
            const name = nameOf.get(taken.id) as string;
            running.push({ group: group(lanes, name), name });
          }
        } else if (running.length > 0) {
          const [ended] = running.splice(each.which % running.length, 1);
          if (ended === undefined) continue;
          lanes.leave(ended.group);
          model.leave(ended.name);
        }
        expect(lanes.length).toBe(model.waiting.length);
      }
    },
  );

  property([
    fc.array(fc.tuple(fc.constantFrom(...names), fc.integer({ min: 0, max: 2 }), fc.boolean()), {
      maxLength: 300,
      size: 'max',
    }),
  ])('pass over the dead, count the living, and forget groups that have nothing left', (tasks) => {
    const lanes = new Lanes<Item>(Number.POSITIVE_INFINITY);
    const items = tasks.map(([name, level, dies], id) => {
      const item = { id, isDead: false };
      lanes.push(item, level as Level, group(lanes, name));
      return { item, name, dies };
    });
    for (const { item, name, dies } of items) {
      if (!dies) continue;
      item.isDead = true;
      lanes.bury(group(lanes, name));
    }
    const alive = items.filter(({ dies }) => !dies);
    expect(lanes.length).toBe(alive.length);
    const taken: number[] = [];
    for (let next = lanes.take(); next !== undefined; next = lanes.take()) {
      taken.push(next.id);
      lanes.leave(group(lanes, items[next.id]?.name ?? ''));
    }
    expect(taken.sort((a, b) => a - b)).toEqual(alive.map(({ item }) => item.id));
    expect(lanes.remove(() => true)).toEqual([]);
    expect(lanes.groups).toBe(0);
  });

  test('forget a group with the end of its last task, and not before', () => {
    const lanes = new Lanes<Item>(1);
    for (let i = 0; i < 3; i++) lanes.push({ id: i, isDead: false }, 1, group(lanes, 'a'));
    const one = group(lanes, 'a');
    for (let i = 0; i < 3; i++) {
      expect(lanes.groups).toBe(1);
      expect(lanes.take()?.id).toBe(i);
      lanes.leave(one);
    }
    expect(lanes.groups).toBe(0);
  });

  test('keep what does not match when the others are removed, in its place', () => {
    const lanes = new Lanes<Item>(Number.POSITIVE_INFINITY);
    for (let i = 0; i < 10; i++) lanes.push({ id: i, isDead: false }, 1, lanes.ungrouped);
    expect(lanes.remove(({ id }) => id % 2 === 0).map(({ id }) => id)).toEqual([0, 2, 4, 6, 8]);
    expect(lanes.length).toBe(5);
    expect(Array.from({ length: 6 }, () => lanes.take()?.id)).toEqual([1, 3, 5, 7, 9, undefined]);
  });

  test('of two levels that were passed over too often, serve the one that was passed more often', () => {
    const lanes = new Lanes<Item>(Number.POSITIVE_INFINITY);
    lanes.push({ id: -2, isDead: false }, 2, lanes.ungrouped);
    for (let i = 0; i < 40; i++) lanes.push({ id: i, isDead: false }, 0, lanes.ungrouped);
    lanes.take();
    lanes.push({ id: -1, isDead: false }, 1, lanes.ungrouped);
    const order = Array.from({ length: 20 }, () => lanes.take()?.id ?? 0);
    expect(order.flatMap((id, at) => (id < 0 ? [[at, id]] : []))).toEqual([
      [15, -2],
      [16, -1],
    ]);
  });

  test('what was looked at stays the next, whatever comes, until it is taken or dies', () => {
    const lanes = new Lanes<Item>(1);
    const [low, high, other] = [0, 1, 2].map((id) => ({ id, isDead: false })) as [Item, Item, Item];
    lanes.push(low, 2, group(lanes, 'a'));
    expect(lanes.peek()).toBe(low);
    lanes.push(high, 0, group(lanes, 'b'));
    expect(lanes.peek()).toBe(low);
    expect(lanes.take()).toBe(low);
    expect(lanes.peek()).toBe(high);
    lanes.push(other, 1, group(lanes, 'c'));
    high.isDead = true;
    lanes.bury(group(lanes, 'b'));
    expect(lanes.peek()).toBe(other);
    expect(lanes.length).toBe(1);
    expect(lanes.take()).toBe(other);
    expect(lanes.peek()).toBeUndefined();
  });

  test('a group that is held lets the others by, keeps its record, and comes back', () => {
    const lanes = new Lanes<Item>(Number.POSITIVE_INFINITY);
    const held = group(lanes, 'a');
    lanes.push({ id: 1, isDead: false }, 0, held);
    expect(lanes.peek()?.id).toBe(1);
    lanes.hold(held);
    lanes.push({ id: 2, isDead: false }, 1, group(lanes, 'b'));
    expect(lanes.peek()?.id).toBe(2);
    expect(lanes.take()?.id).toBe(2);
    expect(lanes.take()).toBeUndefined();
    lanes.letGo(held);
    expect(lanes.take()?.id).toBe(1);
    lanes.hold(held);
    lanes.leave(held);
    expect(lanes.groups).toBe(2);
    lanes.letGo(held);
    expect(lanes.groups).toBe(1);
  });

  test('serve a level that was passed over 16 times, though higher ones have work', () => {
    const lanes = new Lanes<Item & { level: number }>(Number.POSITIVE_INFINITY);
    for (let i = 0; i < 60; i++) lanes.push({ id: i, isDead: false, level: 0 }, 0, lanes.ungrouped);
    for (let i = 0; i < 3; i++) lanes.push({ id: i, isDead: false, level: 2 }, 2, lanes.ungrouped);
    const order = Array.from({ length: 51 }, () => lanes.take()?.level);
    expect(order.flatMap((level, at) => (level === 2 ? [at] : []))).toEqual([16, 33, 50]);
  });

  // Lines of groups that had emptied lay in their ring until their turn came, and in a wedged pool no turn comes. Before that,
  // tombstones were cleared only if they outnumbered the groups, and each kept its own group alive.
  test('keep nothing of groups whose tasks have all left', async () => {
    const lanes = new Lanes<Item>(1);
    const records: WeakRef<Group<Item>>[] = [];
    for (let i = 0; i < 1_000; i++) {
      const one = lanes.group(`g${i}`, `g${i}`);
      const item = { id: i, isDead: false };
      lanes.push(item, 1, one);
      item.isDead = true;
      lanes.bury(one);
      records.push(new WeakRef(one));
    }
    expect(lanes.groups).toBe(0);
    // A WeakRef holds its target until the turn that made it is over.
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
    expect(records.filter((record) => record.deref() !== undefined).length).toBeLessThan(100);
    const last = { id: -1, isDead: false };
    lanes.push(last, 1, lanes.ungrouped);
    expect(lanes.take()).toBe(last);
  });

  // POOL-14 Effect-TS/effect#7580: a late cleanup of one key deleted the re-created lane and stranded its waiter.
  test('never delete the new record of a group with what is left of its old one', () => {
    const lanes = new Lanes<Item>(1);
    const buried = { id: 1, isDead: false };
    lanes.push(buried, 1, lanes.group('k', 'k'));
    buried.isDead = true;
    lanes.bury(lanes.group('k', 'k'));
    expect(lanes.groups).toBe(0);
    const second = { id: 2, isDead: false };
    lanes.push(second, 1, lanes.group('k', 'k'));
    expect(lanes.take()).toBe(second);
    expect(lanes.groups).toBe(1);
    lanes.push({ id: 3, isDead: false }, 1, lanes.group('k', 'k'));
    expect(lanes.take()).toBeUndefined();
  });
});
