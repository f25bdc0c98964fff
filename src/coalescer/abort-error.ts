/** What the platform makes of an abort without a reason. */
export function abortError(): unknown {
  const controller = new AbortController();
  controller.abort();
  return controller.signal.reason;
}
