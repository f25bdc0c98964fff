// For Next.js. Its `app/api/chat/route.ts` is then one line: `export { POST } from 'chat-route';`
import { createChatRoute } from './chat.js';
import { readEnvironment } from './options.js';
import { startServices } from './start.js';

let route: Promise<(request: Request) => Promise<Response>> | undefined;

/** Starts what it needs with the first request, and again with the next one if that failed. */
export async function POST(request: Request): Promise<Response> {
  route ??= startServices(readEnvironment(process.env)).then(createChatRoute);
  route.catch(() => {
    route = undefined;
  });
  return (await route)(request);
}
