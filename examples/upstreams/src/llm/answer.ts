import { hash } from '../random.js';

export interface Message {
  readonly role: string;
  readonly content: string;
}

interface Piece {
  readonly kind: 'product' | 'passage';
  readonly text: string;
}

const STOP_WORDS = new Set(
  `about after also and any are but can could did does for from get give had has have how into its just like many may more much need not one
  our out over please recommend should show some suggest tell than that the their them then there these they this too use want was what when
  where which while who why will with would you your`.split(/\s+/),
);
const GREETING = /^\s*(hi|hello|hey|good (morning|evening|day))\b[\s!.,]*$/i;
const OPENINGS = ['Happy to help.', 'Good question.', 'Thanks for asking.', 'Let me look at that with you.'];
const CLOSINGS = [
  'Tell me a bit more about how you will use it, and I can narrow it down.',
  'Is there anything else that you would like to know?',
  'If you are unsure, ask me to compare two of them.',
];

/**
 * The "model": rules instead of weights, so that equal questions get equal answers. It answers from the list items that the system
 * messages give under a heading with "product", or with "passage", "context", "source" or "page" in it; without a heading, an item with
 * a price is a product.
 */
export function answerTo(messages: readonly Message[]): string {
  const question = messages.findLast(({ role }) => role === 'user')?.content.trim() ?? '';
  const system = messages.filter(({ role }) => role === 'system' || role === 'developer');
  const pieces = system.flatMap(({ content }) => piecesOf(content));
  const earlier = messages.filter(({ role, content }) => role === 'user' && !GREETING.test(content)).slice(0, -1);
  if (GREETING.test(question))
    return 'Hello! I know our pages and what is in the shop. What are you looking for today?';

  const pick = (from: readonly string[]) => from[hash(question) % from.length] ?? '';
  const topics = wordsOf(question).slice(0, 4);
  const passages = best(pieces, 'passage', question, 2);
  const products = best(pieces, 'product', question, 3);
  const parts = [
    `${pick(OPENINGS)}${topics.length > 0 ? ` You are asking about ${listed(topics)}.` : ''}`,
    ...passages.map(({ text }, i) => `${i === 0 ? 'From our pages: ' : 'And also: '}${excerpt(text, 320)}`),
    products.length > 0 ? `In the shop I would look at these:\n${products.map(asItem).join('\n')}` : '',
    passages.length + products.length === 0
      ? 'I found nothing about it in what I was given, neither in our pages nor in the shop, so I would rather not guess. It may help to ask in other words, or to name the product or the place that you have in mind.'
      : '',
    earlier.length > 0
      ? `This goes together with your earlier question, "${excerpt(earlier.at(-1)?.content ?? '', 80)}".`
      : '',
    pick(CLOSINGS),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function asItem({ text }: Piece): string {
  return `- ${excerpt(text, 160)}`;
}

/** List items, with the lines that belong to them. */
function piecesOf(system: string): Piece[] {
  const pieces: { kind: Piece['kind'] | undefined; text: string }[] = [];
  let section: Piece['kind'] | 'other' | undefined;
  let isOpen = false;
  for (const line of system.split('\n')) {
    const heading = /^\s*(?:#+\s+(.+)|<(\w+)>|([^:]{1,80}):)\s*$/.exec(line);
    const item = /^\s*(?:[-*•]|\[\d+\]|\d+[.)])\s+(.+)$/.exec(line)?.[1];
    if (heading !== null) section = sectionOf(heading.slice(1).join(' '));
    if (item !== undefined) {
      const kind = section ?? (/[$€£]\s?\d|\d\s?[$€£]/.test(item) ? 'product' : undefined);
      pieces.push({ kind: kind === 'other' ? undefined : kind, text: item });
    }
    const last = pieces.at(-1);
    if (item === undefined && heading === null && isOpen && line.trim() !== '' && last) last.text += ` ${line.trim()}`;
    isOpen = heading === null && line.trim() !== '' && (item !== undefined || isOpen);
  }
  return pieces.filter((piece): piece is Piece => piece.kind !== undefined);
}

function sectionOf(heading: string): Piece['kind'] | 'other' {
  if (/product|shop|catalog/i.test(heading)) return 'product';
  return /passage|context|source|page|document|knowledge/i.test(heading) ? 'passage' : 'other';
}

/** Those that share most words with the question, rare words first. Without any in common: the first ones, found by somebody better. */
function best(pieces: readonly Piece[], kind: Piece['kind'], question: string, most: number): readonly Piece[] {
  const own = pieces.filter((piece) => piece.kind === kind);
  const asked = wordsOf(question).map(stem);
  const stems = own.map(({ text }) => new Set(wordsOf(text).map(stem)));
  const scores = stems.map((words) =>
    asked.reduce((sum, word) => sum + (words.has(word) ? 1 / stems.filter((other) => other.has(word)).length : 0), 0),
  );
  return own
    .map((piece, i) => ({ piece, score: scores[i] ?? 0 }))
    .sort((a, b) => b.score - a.score)
    .filter(({ score }, _, [first]) => score > 0 || first?.score === 0)
    .slice(0, most)
    .map(({ piece }) => piece);
}

function wordsOf(text: string): string[] {
  const words = text.toLowerCase().match(/\p{L}[\p{L}\p{N}-]{2,}/gu) ?? [];
  return [...new Set(words)].filter((word) => !STOP_WORDS.has(word));
}

function stem(word: string): string {
  return word.length > 4 ? word.replace(/(ing|ies|ed|es|s)$/, '') : word;
}

function listed(words: readonly string[]): string {
  return words.length > 1 ? `${words.slice(0, -1).join(', ')} and ${words.at(-1)}` : (words[0] ?? '');
}

function excerpt(text: string, most: number): string {
  if (text.length <= most) return text;
  const head = text.slice(0, most);
  const sentence = head.lastIndexOf('. ') + 1;
  return sentence > most / 2 ? head.slice(0, sentence) : `${head.slice(0, head.lastIndexOf(' '))} …`;
}
