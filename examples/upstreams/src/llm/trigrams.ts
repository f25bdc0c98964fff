import { hash } from '../random.js';

const TRIGRAM_DIMENSIONS = 256;

/** A stand-in for the model where only the plumbing is looked at: instant, lexical, and different for different texts. */
export function trigramVector(text: string): number[] {
  const vector = new Array<number>(TRIGRAM_DIMENSIONS).fill(0);
  const padded = `  ${text.toLowerCase()} `;
  for (let i = 0; i + 3 <= padded.length; i++) {
    const slot = hash(padded.slice(i, i + 3)) % TRIGRAM_DIMENSIONS;
    vector[slot] = (vector[slot] ?? 0) + 1;
  }
  const length = Math.hypot(...vector);
  return vector.map((x) => x / length);
}
