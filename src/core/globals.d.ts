/*
 * The whole platform that `src` may use. Neither the DOM's nor Node's types are in scope there, so a name that some
 * runtime lacks does not compile. Not part of the build: users see their own platform's types.
 *
 * `AbortSignal.any` and `AbortSignal.timeout` are left out on purpose: see core/abort.ts.
 */

interface AbortSignal {
  readonly aborted: boolean;
  readonly reason: unknown;
  throwIfAborted(): void;
  addEventListener(type: 'abort', listener: () => void, options?: { readonly once?: boolean }): void;
  removeEventListener(type: 'abort', listener: () => void): void;
}

interface AbortController {
  readonly signal: AbortSignal;
  abort(reason?: unknown): void;
}

declare var AbortController: { new (): AbortController; readonly prototype: AbortController };

declare var performance: { now(): number };
declare function setTimeout(callback: () => void, delay: number): { readonly unref?: () => void } | number;
declare function clearTimeout(handle: { readonly unref?: () => void } | number | undefined): void;
declare function queueMicrotask(callback: () => void): void;

declare var console: { error(...data: readonly unknown[]): void };
