import { expect, test } from 'vitest';
import { read } from '../../src/core/read.js';

test('read gives a property of anything, and undefined where there is none or reading it throws', () => {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  const fn = Object.assign(() => {}, { x: 1 });
  const throwing = {
    get x(): never {
      throw new Error('getter');
    },
  };
  const inherited = Object.create({ x: 3 });
  expect(
    [{ x: 1 }, fn, inherited, { x: null }, [], undefined, null, 5, 'x', throwing, proxy].map((each) => read(each, 'x')),
  ).toEqual([1, 1, 3, null, ...new Array(7).fill(undefined)]);
});
