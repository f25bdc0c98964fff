import { LazyContext } from '../core/task-context.js';
import type { Key } from '../core/types.js';
import type { StreamContext } from './stream-types.js';

/** What one `open` is given. The coalescer asks `mayStore`, which is kept off the public object. */
export class OpenContext<K extends Key> extends LazyContext implements StreamContext<K> {
  readonly key: K;
  #noStore = false;

  constructor(key: K) {
    super();
    this.key = key;
  }

  /** A getter, so that it can be destructured and costs nothing unread. */
  get noStore(): () => void {
    return () => {
      this.#noStore = true;
    };
  }

  static mayStore(context: OpenContext<Key>): boolean {
    return !context.#noStore;
  }
}
