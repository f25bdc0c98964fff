// Importing does nothing. Under Node only: the loaders of the others use these themselves.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { mock, test } from 'node:test';

test('importing the package touches no timer, no clock, no chance and no listener', async () => {
  const watched = [
    mock.method(globalThis, 'setTimeout'),
    mock.method(globalThis, 'setInterval'),
    mock.method(globalThis, 'queueMicrotask'),
    mock.method(performance, 'now'),
    mock.method(Date, 'now'),
    mock.method(Math, 'random'),
    mock.method(EventTarget.prototype, 'addEventListener'),
    mock.method(process, 'on'),
  ];
  const globals = Object.getOwnPropertyNames(globalThis);

  const require = createRequire(import.meta.url);
  for (const door of ['paceline', 'paceline/testing']) {
    await import(door);
    require(door);
  }

  const calls = watched.map(({ mock }) => mock.callCount());
  mock.restoreAll();
  assert.deepEqual(calls, [0, 0, 0, 0, 0, 0, 0, 0]);
  assert.deepEqual(Object.getOwnPropertyNames(globalThis), globals);
});
