import { createHash } from 'node:crypto';
import type { Product } from './shop.js';
import type { Exchange, StoredPassage } from './store.js';

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface Context {
  readonly history: readonly Exchange[];
  readonly passages: readonly StoredPassage[];
  readonly products: readonly Product[];
}

/** All that the model is told. */
export function promptOf(question: string, { history, passages, products }: Context): Message[] {
  const system = [
    'You help the customers of a shop for bikes and outdoor gear. Answer briefly, from the passages and products below only.',
    section(
      'Passages',
      passages.map(({ text }) => text),
    ),
    section(
      'Products',
      products.map(
        ({ name, price, text, isInStock }) => `${name}, $${price}, ${isInStock ? 'in stock' : 'sold out'}: ${text}`,
      ),
    ),
  ].filter((part) => part !== '');
  return [
    { role: 'system', content: system.join('\n\n') },
    ...history.flatMap(({ question, answer }): Message[] => [
      { role: 'user', content: question },
      { role: 'assistant', content: answer },
    ]),
    { role: 'user', content: question },
  ];
}

/** Equal for equal prompts to one model, and short: keys are kept in memory. */
export function digestOf(model: string, messages: readonly Message[]): string {
  return createHash('sha256')
    .update(JSON.stringify([model, messages]))
    .digest('base64url');
}

function section(title: string, items: readonly string[]): string {
  return items.length === 0 ? '' : `${title}:\n${items.map((item) => `- ${item}`).join('\n')}`;
}
