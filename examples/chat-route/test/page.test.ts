import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { notRun } from '../../../test/support/not-run.js';
import type { Database } from '../src/database/database.js';
import { openPglite } from '../src/database/pglite.js';
import { startServer } from '../src/server.js';
import { type App, type AppOptions, CHAT, startApp, until } from './support/app.js';

// To renew the pictures in `docs`: SCREENSHOTS=1.
const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const QUESTION = 'May I send a jacket back, and who pays for the parcel?';

let database: Database | undefined;
let browser: Browser | undefined;

beforeAll(async () => {
  if (!existsSync(executablePath)) return;
  const args = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking'];
  [database, browser] = await Promise.all([openPglite(), chromium.launch({ executablePath, args })]);
}, 60_000);
afterAll(async () => {
  await browser?.close();
  await database?.close();
});
beforeEach((context) => {
  if (!existsSync(executablePath)) notRun(context, 'Chromium is not installed (apt-get install chromium)');
});

async function open(options: Omit<AppOptions, 'database'> = {}): Promise<{ app: App; page: Page }> {
  if (database === undefined || browser === undefined) throw new Error('There is no browser.');
  const app = await startApp({ database, ...options });
  const server = await startServer(app.services, { port: 0, host: '127.0.0.1' });
  const page = await browser.newPage({ viewport: { width: 720, height: 680 } });
  page.on('pageerror', (error) => expect.soft(error).toBeUndefined());
  onTestFinished(async () => {
    await page.close();
    await server.shutDown(5_000);
  });
  await page.goto(server.url);
  return { app, page };
}

async function ask(page: Page, message: string): Promise<void> {
  await page.getByLabel('Your question').fill(message);
  await page.getByRole('button', { name: 'Send' }).click();
}

async function picture(page: Page, name: string): Promise<void> {
  if (process.env.SCREENSHOTS === undefined) return;
  // Without the ring around the field: it is not what the picture is about.
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  await page.screenshot({ path: fileURLToPath(new URL(`../docs/${name}.png`, import.meta.url)) });
}

const answers = (page: Page) => page.locator('.answer');
const isOver = (page: Page) => page.getByRole('button', { name: 'Send' }).waitFor();

describe('the page', { timeout: 60_000 }, () => {
  test('text appears as it streams, and what it rests on is told at its end', async () => {
    const { page } = await open({ llm: { embedder: 'model', tokensPerSecond: 60 } });
    await ask(page, QUESTION);
    const lengths = new Set<number>();
    await answers(page).waitFor();
    await until(async () => {
      const length = (await answers(page).textContent())?.length ?? 0;
      if (length > 150 && lengths.size > 0 && Math.max(...lengths) <= 150) await picture(page, 'streaming');
      lengths.add(length);
      return (await answers(page).getAttribute('aria-busy')) === null;
    });
    expect(lengths.size).toBeGreaterThan(8);
    const text = (await answers(page).textContent()) ?? '';
    expect(text).toContain('You may send back anything within 30 days');
    expect(text).toContain('Storm Jacket, $189.00');
    await page.getByText(/^From our pages: .*returns/).waitFor();
    expect(await page.locator('.notice, .problem').count()).toBe(0);
    // The whole conversation is a log, so that a screen reader tells what is new.
    expect(await page.getByRole('log').textContent()).toContain(QUESTION);
    await picture(page, 'answer');
  });

  test('Enter sends, and the next question may refer to the one before', async () => {
    const { page, app } = await open();
    const field = page.getByLabel('Your question');
    for (const [n, message] of ['Which tent for two?', 'And a stove?'].entries()) {
      await field.fill(message);
      await field.press('Enter');
      await isOver(page);
      await until(() => app.services.metrics.snapshot().background.background?.fulfilled === 2 * (n + 1));
    }
    expect(await answers(page).last().textContent()).toContain('your earlier question, "Which tent for two?"');
  });

  test('a failing shop is told discreetly, above an answer that goes on', async () => {
    const { page } = await open({ llm: { embedder: 'model' }, shop: { weather: { outage: 'broken' } } });
    await ask(page, QUESTION);
    await isOver(page);
    expect(await page.locator('.notice').allTextContents()).toEqual([
      'The shop does not answer at the moment, so this answer goes without products.',
    ]);
    expect(await answers(page).textContent()).toContain('You may send back anything within 30 days');
    expect(await page.getByRole('alert').count()).toBe(0);
    await picture(page, 'shop-down');
  });

  test('a dead model is told clearly, and the page is ready for the next question', async () => {
    const { page, app } = await open();
    await app.llm.kill();
    await ask(page, QUESTION);
    await isOver(page);
    expect(await page.getByRole('alert').allTextContents()).toEqual([
      'The assistant cannot be reached. Please try again.',
    ]);
    expect(await answers(page).count()).toBe(0);
    await picture(page, 'model-down');

    await app.llm.restart();
    app.services.llm.breaker?.reset();
    await ask(page, 'Which tent for two?');
    await isOver(page);
    expect(await answers(page).textContent()).toContain('Alder 2 Tent');
  });

  test('a model that breaks off keeps what it said, and says so', async () => {
    const weather = { routes: { [CHAT]: { faults: { rate: 1, kinds: ['cut' as const] } } } };
    const { page } = await open({ llm: { weather } });
    await ask(page, QUESTION);
    await isOver(page);
    expect(await page.getByRole('alert').allTextContents()).toEqual(['The answer broke off. Please ask again.']);
    expect(((await answers(page).textContent()) ?? '').length).toBeGreaterThan(10);
  });

  test.each(['Stop', 'closing the page'])('%s frees the slot at the model', async (how) => {
    const { page, app } = await open({ llm: { tokensPerSecond: 20 } });
    await ask(page, QUESTION);
    await until(async () => ((await answers(page).textContent()) ?? '').length > 10);
    if (how === 'Stop') await page.getByRole('button', { name: 'Stop' }).click();
    else await page.close();
    await until(async () => (await app.llm.stats()).inFlight === 0);
    expect(await app.llm.stats()).toMatchObject({ closedEarly: 1, counts: { tokensAfterLeaving: 0 } });
    if (how === 'Stop') expect(await page.getByText('Stopped.').count()).toBe(1);
  });

  test('what a model or a person writes is text, never markup', async () => {
    const { page } = await open();
    await ask(page, '<img src=x onerror="document.title = 1"> tent');
    await isOver(page);
    expect(await page.locator('main img').count()).toBe(0);
    expect(await page.title()).toContain('chat');
  });
});
