import { markHandled } from '../core/deferred.js';
import { ItemsRun, type ItemsRunOptions } from './items-run.js';

/** One call of `map`. */
export class MapRun<I, R> extends ItemsRun<I, R> {
  readonly promise: Promise<R[]>;
  readonly #results: R[] = [];
  readonly #resolve: (results: R[]) => void;
  readonly #reject: (reason: unknown) => void;

  constructor(options: ItemsRunOptions<I, R>) {
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
    this.begin();
  }

  keep(index: number, result: R): void {
    this.#results[index] = result;
  }

  /** That nobody looks at it then is no unhandled rejection. */
  shutDown(reason: unknown): void {
    markHandled(this.promise);
    this.abort(reason);
  }

  protected get wantsMore(): boolean {
    return true;
  }

  protected finished(): void {
    this.#resolve(this.#results);
  }

  protected failed(reason: unknown): void {
    this.#reject(reason);
  }
}
