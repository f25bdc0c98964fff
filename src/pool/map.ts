import { markHandled } from '../core/deferred.js';
import { Items, type ItemsOptions } from './items.js';

/** One call of `map`. */
export class MapItems<I, R> extends Items<I, R> {
  readonly promise: Promise<R[]>;
  readonly #results: R[] = [];
  readonly #resolve: (results: R[]) => void;
  readonly #reject: (reason: unknown) => void;

  constructor(options: ItemsOptions<I, R>) {
    let resolve!: (results: R[]) => void;
    let reject!: (reason: unknown) => void;
    const promise = new Promise<R[]>((yes, no) => {
      resolve = yes;
      reject = no;
    });
    super(options, promise);
    this.promise = promise;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  keep(index: number, result: R): void {
    this.#results[index] = result;
  }

  override get isBusy(): boolean {
    return true;
  }

  /** That nobody looks at it then is no unhandled rejection. */
  shutDown(reason: unknown): void {
    markHandled(this.promise);
    this.abort(reason);
  }

  protected wantsMore(): boolean {
    return true;
  }

  protected finished(): void {
    this.#resolve(this.#results);
  }

  protected failed(reason: unknown): void {
    this.#reject(reason);
  }
}
