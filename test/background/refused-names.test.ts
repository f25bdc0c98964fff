import { afterEach, expect, test, vi } from 'vitest';
import { BackgroundTasks } from '../../src/background/index.js';
import { never, silenceConsole } from './helpers.js';

afterEach(() => {
  vi.restoreAllMocks();
});

// A shutdown is to say what it lost. Without an `onError` the console is all that a server has.
test('what a close refuses is named, each kind of task at least once', async () => {
  const shown = silenceConsole();
  const group = new BackgroundTasks({ concurrency: 1 });
  group.run(never, { name: 'hung' });
  for (const name of ['audit', 'mail', 'invoice']) group.run(() => {}, { name });
  await group.close({ grace: 0, abortGrace: 0 });
  const said = shown.mock.calls.flat().map(String).join('\n');
  for (const name of ['audit', 'mail', 'invoice']) expect(said).toContain(name);
});
