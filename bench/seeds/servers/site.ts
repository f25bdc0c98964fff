import { type App, Problem } from '../../../examples/upstreams/src/app.js';
import { randomFrom } from '../../../examples/upstreams/src/random.js';

/** Pages of the site. */
export const PAGES = 50;
export const SOURCES = ['orders', 'visitors', 'chats', 'revenue', 'stock'] as const;

const PARAGRAPHS = 160;
const WORDS =
  `adjust after alloy axle bearing bike bolt bottom brake cable cage carry chain clean climb cold cotton crank dry fabric fit frame fork
  front gear glove grip ground handle heavy hold hood hub jacket keep kit lamp layer length lever light loop mount night pack pad pannier
  pedal pocket pole pump rack rain ride rim road saddle seam season shell shift sleeve snow sole spoke stem storm strap summit tent
  thread torque trail tube tyre valve vent walk warm wash water wheel wind winter wool zip`.split(/\s+/);

/** A site of some 80 kB a page, and the sources of a dashboard. */
export function createSite(): App<{ sent: number }> {
  const pages = Array.from({ length: PAGES }, (_, i) => pageOf(i + 1));
  return {
    routes: {
      'GET /pages/:id': async (exchange, counts) => {
        const page = pages[Number(exchange.params.id) - 1];
        if (page === undefined) throw new Problem(404, 'not_found', 'No such page.');
        await exchange.through(exchange.url.pathname, () => {});
        counts.sent += 1;
        exchange.send(200, page, { 'content-type': 'text/html; charset=utf-8' });
      },
      'GET /dashboard/:source': async (exchange, counts) => {
        const { source = '' } = exchange.params;
        if (!SOURCES.some((known) => known === source)) throw new Problem(404, 'not_found', 'No such source.');
        await exchange.through(source, () => {});
        counts.sent += 1;
        exchange.send(200, { source, total: source.length * 100 });
      },
    },
    errorBody: ({ message }) => ({ error: message }),
    newCounts: () => ({ sent: 0 }),
  };
}

/** The same for the same number. It links to four others, so that a crawl from the first one finds all. */
function pageOf(id: number): string {
  const random = randomFrom(id);
  const word = () => WORDS[Math.floor(random() * WORDS.length)];
  const sentence = () => `${Array.from({ length: 12 }, word).join(' ')} &amp; ${word()}.`;
  const links = [1, 2, 3, 4].map((step) => `/pages/${((id * 4 + step - 4) % PAGES) + 1}`);
  const body = Array.from({ length: PARAGRAPHS }, (_, i) => {
    const text = `${sentence()} <b class="x">${word()}</b> ${sentence()} &quot;${word()}&quot; ${sentence()} ${sentence()}`;
    return i % 12 === 0 ? `<h2 id="s${i}">${word()} ${word()}</h2>\n<p>${text}</p>` : `<p class="text">${text}</p>`;
  });
  return `<!doctype html>
<html lang="en"><head><title>Page ${id} &ndash; ${word()}</title>
<style>${'.x { color: #123; margin: 0 auto; }\n'.repeat(200)}</style>
<script>${'window.dataLayer = window.dataLayer || []; // <p>not a paragraph</p>\n'.repeat(100)}</script></head>
<body><nav><ul>${links.map((href) => `<li><a href="${href}">${href}</a></li>`).join('')}</ul></nav>
<main>${body.join('\n')}</main><!-- ${'comment '.repeat(200)} --></body></html>`;
}
