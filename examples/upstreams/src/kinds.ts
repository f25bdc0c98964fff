import type { App } from './app.js';
import { createDiscord, type DiscordCounts, type DiscordOptions } from './discord/app.js';
import { createGemini, type GeminiCounts, type GeminiOptions } from './gemini/app.js';
import { createLlm, type LlmCounts, type LlmOptions } from './llm/app.js';
import { createShop, type ShopCounts, type ShopOptions } from './shop/app.js';

/** The protocols there are: what each can be told, and what it counts. */
export interface Kinds {
  llm: { options: LlmOptions; counts: LlmCounts };
  shop: { options: ShopOptions; counts: ShopCounts };
  discord: { options: DiscordOptions; counts: DiscordCounts };
  gemini: { options: GeminiOptions; counts: GeminiCounts };
}

export type Kind = keyof Kinds;

export const kinds: { readonly [K in Kind]: (options: Kinds[K]['options']) => App<Kinds[K]['counts']> } = {
  llm: createLlm,
  shop: createShop,
  discord: createDiscord,
  gemini: createGemini,
};
