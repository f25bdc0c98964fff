/** Pieces of some characters each, as a model streams them. Together they are the text. */
export function tokensOf(text: string): string[] {
  return text.match(/\s*\S{1,5}|\s+$/g) ?? [];
}

export function countTokens(text: string): number {
  return tokensOf(text).length;
}
