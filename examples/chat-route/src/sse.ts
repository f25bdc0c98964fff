/** What the route tells, as server-sent events. */
export type ChatEvent =
  | { readonly event: 'notice'; readonly data: { readonly about: string; readonly text: string } }
  | { readonly event: 'token'; readonly data: { readonly text: string } }
  | { readonly event: 'done'; readonly data: { readonly sources: readonly string[] } }
  | { readonly event: 'error'; readonly data: { readonly text: string } };

const HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-store',
  // Proxies that collect answers before they pass them on.
  'x-accel-buffering': 'no',
};

/** One event for each that is asked for: a reader that is slow slows its source. */
export function eventResponse(events: AsyncGenerator<ChatEvent>, onCancel: () => void): Response {
  const encoder = new TextEncoder();
  const body = new ReadableStream<Uint8Array>({
    async pull(out) {
      const next = await events.next();
      if (next.done === true) return out.close();
      const { event, data } = next.value;
      out.enqueue(encoder.encode(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`));
    },
    async cancel() {
      // First: a generator that waits for a token ends only when that wait does.
      onCancel();
      await events.return(undefined);
    },
  });
  return new Response(body, { headers: HEADERS });
}
