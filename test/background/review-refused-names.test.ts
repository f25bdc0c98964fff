import { expect, test, vi } from 'vitest';
import { BackgroundTasks } from '../../src/background/index.js';

// docs/guide/shutdown.md: "What never began is `refused`: `onError` names it." Its server gives no `onError`.
test('what a close refuses is named, each kind of task at least once', async () => {
  const shown = vi.spyOn(console, 'error').mockImplementation(() => {});
  const group = new BackgroundTasks({ concurrency: 1 });
  group.run(() => new Promise(() => {}), { name: 'hung' });
  for (const name of ['audit', 'mail', 'invoice']) group.run(() => {}, { name });
  await group.close({ grace: 0, abortGrace: 0 });
  const said = shown.mock.calls.flat().map(String).join('\n');
  shown.mockRestore();
  for (const name of ['audit', 'mail', 'invoice']) expect(said).toContain(name);
});
