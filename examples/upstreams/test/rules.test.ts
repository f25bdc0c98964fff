import { expect, test } from 'vitest';
import { trigramVector } from '../src/index.js';
import { answerTo } from '../src/llm/answer.js';
import { countTokens, tokensOf } from '../src/llm/tokens.js';

const ask = (system: string, ...questions: string[]) =>
  answerTo([{ role: 'system', content: system }, ...questions.map((content) => ({ role: 'user', content }))]);

test('trigram vectors have length one, and likeness of letters shows', () => {
  const dot = (a: string, b: string) => {
    const y = trigramVector(b);
    return trigramVector(a).reduce((sum, x, i) => sum + x * (y[i] ?? 0), 0);
  };
  expect(dot('rate limits', 'rate limits')).toBeCloseTo(1);
  expect(dot('rate limits', 'a rate limit')).toBeGreaterThan(0.5);
  expect(dot('rate limits', 'pgvector')).toBeLessThan(0.2);
});

test('tokens are the text again', () => {
  const text = ' A line,\n\nand another: "supercalifragilistic"  ';
  expect(tokensOf(text).join('')).toBe(text);
  expect(countTokens('')).toBe(0);
});

test.each([
  ['a line with a colon', 'Products:\n- Tent: sleeps two\n- Pump: small'],
  ['Markdown', '## What the shop has\n* Tent: sleeps two\n* Pump: small'],
  ['a tag', '<products>\n1. Tent: sleeps two\n2. Pump: small\n</products>'],
  ['nothing but a price', '- Tent, $379: sleeps two\n- Pump, $34: small'],
])('products are known by %s above them', (_, system) => {
  const answer = ask(system, 'Do you have a tent?');
  expect(answer).toMatch(/In the shop .*:\n- Tent.* sleeps two\n/);
  expect(answer).not.toContain('Pump');
});

test('a passage may go over several lines, and instructions are not quoted', () => {
  const system =
    'Rules:\n- Never mention ferries.\n\nPassages:\n[1] The ferry leaves\n    at nine.\n\nBe kind about the ferry.';
  const answer = ask(system, 'When does the ferry leave?');
  expect(answer).toContain('From our pages: The ferry leaves at nine.');
  expect(answer).not.toContain('Never');
  expect(answer).not.toContain('Be kind');
});

test('without anything to go by it says so, and it remembers what was asked before', () => {
  expect(ask('', 'What is love?')).toContain('I found nothing about it');
  expect(ask('', 'Hello!')).toMatch(/^Hello!/);
  expect(ask('', 'Is the tent dry?', 'And the bag?')).toContain('"Is the tent dry?"');
});
