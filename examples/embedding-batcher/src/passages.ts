import { UserError } from './errors.js';
import { fileTexts, type Source } from './files.js';

export interface Passage {
  /** Position in the input, from 0. It is also the key in the store, so a passage cannot be stored twice. */
  readonly id: number;
  readonly file: string;
  /** Line of the file on which it starts, from 1. */
  readonly line: number;
  readonly text: string;
}

export interface Corpus {
  readonly passages: readonly Passage[];
  readonly files: number;
  /** How many passages there are without the limit. */
  readonly found: number;
}

type Piece = Omit<Passage, 'id'>;

// Two or three sentences: one thought, and short enough for the local model to keep it apart from others.
const MAX_CHARS = 300;
// Shorter ones are badges, rules and lone headings: they answer nothing, yet match every short question.
const MIN_LETTERS = 40;

/**
 * Passages of all sources, in order, each text once. Above `limit` every source keeps a fair share of it, and so does every file of a
 * source, from its beginning: a big folder must not push a small one out, nor a changelog the page that says what a thing is.
 */
export async function readPassages(sources: readonly Source[], limit: number): Promise<Corpus> {
  const seen = new Set<string>();
  const bySource: Piece[][][] = [];
  for (const source of sources) {
    const byFile: Piece[][] = [];
    for await (const { file, text } of fileTexts(source)) byFile.push(newPieces(file, text, seen));
    bySource.push(byFile);
  }
  if (seen.size === 0)
    throw new UserError(`No passage of text in ${sources.map(({ label }) => label).join(', ')}: too short.`);

  const sizes = bySource.map((byFile) => sumOf(byFile.map((pieces) => pieces.length)));
  const shares = shareOut(limit, sizes);
  const kept = bySource.flatMap((byFile, i) => {
    const perFile = shareOut(
      shares[i] ?? 0,
      byFile.map((pieces) => pieces.length),
    );
    return byFile.flatMap((pieces, j) => pieces.slice(0, perFile[j]));
  });
  return {
    passages: kept.map((piece, id) => ({ id, ...piece })),
    files: new Set(kept.map(({ file }) => file)).size,
    found: sumOf(sizes),
  };
}

/** Licences and boilerplate repeat in every package: one copy is one answer. */
function newPieces(file: string, text: string, seen: Set<string>): Piece[] {
  return splitMarkdown(text).flatMap((piece) => {
    if (seen.has(piece.text)) return [];
    seen.add(piece.text);
    return [{ file, ...piece }];
  });
}

/** Splits `limit` over parts that have `counts` to give; what one leaves over goes to the others. */
export function shareOut(limit: number, counts: readonly number[]): number[] {
  const shares = counts.map(() => 0);
  const smallestFirst = counts.map((_, i) => i).sort((a, b) => (counts[a] ?? 0) - (counts[b] ?? 0));
  let left = limit;
  smallestFirst.forEach((i, done) => {
    // The remainder of a division goes to the largest, which come last.
    shares[i] = Math.min(counts[i] ?? 0, Math.floor(left / (counts.length - done)));
    left -= shares[i];
  });
  return shares;
}

/** Blocks between blank lines, put together up to `MAX_CHARS`. A heading opens a new passage and stays with what it heads. */
export function splitMarkdown(markdown: string): { line: number; text: string }[] {
  const passages: { line: number; text: string }[] = [];
  let current = { line: 1, text: '' };
  const close = () => {
    for (const text of cut(current.text)) if (letters(text) >= MIN_LETTERS) passages.push({ line: current.line, text });
    current = { line: 1, text: '' };
  };

  for (const block of blocks(markdown)) {
    if (block.heading || current.text.length + block.text.length > MAX_CHARS) {
      // A lone heading is kept for the block that follows, however long that is.
      if (block.heading || letters(current.text) >= MIN_LETTERS) close();
    }
    if (current.text === '') current.line = block.line;
    current.text = `${current.text} ${block.text}`.trim();
  }
  close();
  return passages;
}

interface Block {
  line: number;
  heading: boolean;
  text: string;
}

function* blocks(markdown: string): Generator<Block> {
  let block: Block | undefined;
  let fenced = false;
  let number = 0;
  for (const raw of markdown.split(/\r?\n/)) {
    number += 1;
    const fence = /^\s*(```|~~~)/.test(raw);
    if (fence) fenced = !fenced;
    const heading = !fenced && /^#{1,6}\s/.test(raw);
    const text = fence ? '' : plain(raw, fenced);
    if (block !== undefined && (heading || (text === '' && !fenced && !fence))) {
      yield block;
      block = undefined;
    }
    if (text === '') continue;
    if (block === undefined) block = { line: number, heading, text };
    else block.text += ` ${text}`;
    if (heading) {
      yield block;
      block = undefined;
    }
  }
  if (block !== undefined) yield block;
}

/** The words of a line without Markdown's and HTML's machinery, which would only blur its vector. */
function plain(line: string, fenced: boolean): string {
  // Control characters would reach the terminal with the answer.
  const printable = line.replace(/[\s\p{Cc}]+/gu, ' ');
  if (fenced) return printable.trim();
  return printable
    .replace(/^#{1,6}\s+|^\s*[-=*_]{3,}\s*$/g, '')
    .replace(/<!--.*?-->|<\/?[a-z][^>]*>/g, ' ')
    .replace(/!\[[^\]]*\](\([^)]*\)|\[[^\]]*\])/g, ' ')
    .replace(/\[([^\]]+)\](\([^)]*\)|\[[^\]]*\])/g, '$1')
    .replace(/^\[[^\]]+\]:\s.*$/, ' ')
    .replace(/[*`|]+/g, ' ')
    .replace(/\s+/g, ' ')
    .trim();
}

/** Cuts a long text after a sentence or at least between two words. */
function* cut(text: string): Generator<string> {
  let rest = text;
  while (rest.length > MAX_CHARS) {
    const head = rest.slice(0, MAX_CHARS);
    const sentence = Math.max(head.lastIndexOf('. '), head.lastIndexOf('; ')) + 1;
    const word = head.lastIndexOf(' ');
    // Not between the two halves of a character beyond the first 65,536.
    const anywhere = /[\uD800-\uDBFF]$/.test(head) ? MAX_CHARS - 1 : MAX_CHARS;
    const end = sentence > MAX_CHARS / 2 ? sentence : word > 0 ? word : anywhere;
    yield rest.slice(0, end).trim();
    rest = rest.slice(end).trim();
  }
  yield rest;
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, n) => sum + n, 0);
}

function letters(text: string): number {
  return text.match(/\p{L}/gu)?.length ?? 0;
}
