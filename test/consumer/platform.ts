// Compiles where the platform has an AbortSignal: ours is that one, to give and to take.
import { PromisePool, type TaskContext } from 'paceline';

const pool = new PromisePool({ concurrency: 2 });
const controller = new AbortController();

export const given: Promise<number> = pool.execute(() => 1, { signal: controller.signal });
export const timed: Promise<number> = pool.execute(() => 1, { signal: AbortSignal.timeout(5) });
export const taken: Promise<unknown> = pool.execute(async ({ signal }) => {
  const own: AbortSignal = signal;
  own.addEventListener('abort', () => {}, { once: true });
  own.throwIfAborted();
  return fetch('http://localhost/', { signal });
});
export const context: TaskContext = { signal: controller.signal };

// @ts-expect-error a controller is no signal
void pool.execute(() => 1, { signal: controller });
