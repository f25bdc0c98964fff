import { SingleBar } from 'cli-progress';

/** Shows how far `work` is while it runs. Without a terminal: a line every other second instead of a bar that moves. */
export async function withProgress<T>(
  label: string,
  total: number,
  work: (onProgress: (done: number) => void) => Promise<T>,
): Promise<T> {
  const bar = new SingleBar({
    format: `${label.padEnd(14)} {bar} {value}/{total}`,
    barsize: 30,
    barCompleteChar: '█',
    barIncompleteChar: '░',
    hideCursor: true,
    noTTYOutput: true,
  });
  bar.start(total, 0);
  try {
    return await work((done) => bar.update(done));
  } finally {
    bar.stop();
  }
}
