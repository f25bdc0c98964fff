import { expect, test } from 'vitest';
import { isQuestion, readRecording } from '../src/offline/recording.js';
import { replay } from '../src/offline/replay.js';

test('the recorded evening: sharing leaves the servers half of the calls or less, and everybody is answered', {
  timeout: 60_000,
}, async () => {
  const { title, events } = await readRecording();
  const recording = { title, events: events.filter(({ at }) => at < 60_000) };
  const questions = recording.events.filter((event) => isQuestion(event)).length;
  const alone = await replay(recording, 20, false);
  const shared = await replay(recording, 20, true);
  expect([alone.answers, shared.answers]).toEqual([questions, questions]);
  expect(alone.coalescers.map(({ savedRate }) => savedRate)).toEqual([0, 0, 0]);
  expect(shared.generations).toBeLessThan(0.6 * alone.generations);
  expect(shared.reads).toBeLessThan(0.6 * alone.reads);
  // What the coalescers say is what reached the servers.
  const generation = shared.coalescers.find(({ name }) => name === 'GeminiGeneration');
  expect(generation?.loads).toBe(shared.generations);
  expect(generation?.savedRate).toBeGreaterThan(0.4);
});
