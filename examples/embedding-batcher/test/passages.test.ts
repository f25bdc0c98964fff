import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { sourceOf } from '../src/files.js';
import { readPassages, shareOut, splitMarkdown } from '../src/passages.js';
import { folder, sentence } from './support/texts.js';

const read = (path: string, limit = 100) => readPassages([sourceOf(path, path)], limit);

describe('a Markdown text', () => {
  test('is split at headings, and each passage keeps the line on which it starts', () => {
    const text = `# One\n\n${sentence(1)}\n\n## Two\n\n${sentence(2)}\n`;
    expect(splitMarkdown(text)).toEqual([
      { line: 1, text: `One ${sentence(1)}` },
      { line: 5, text: `Two ${sentence(2)}` },
    ]);
  });

  test('is cut at the end of a sentence where a paragraph is long', () => {
    const text = Array.from({ length: 9 }, (_, i) => sentence(i)).join(' ');
    const pieces = splitMarkdown(text);
    expect(pieces.map((piece) => piece.text).join(' ')).toBe(text);
    for (const piece of pieces) {
      expect(piece.text.length).toBeLessThanOrEqual(300);
      expect(piece.text).toMatch(/\.$/);
    }
  });

  test('is cut anywhere where a word has no end', () => {
    expect(splitMarkdown('x'.repeat(700)).map((piece) => piece.text.length)).toEqual([300, 300, 100]);
    const rare = `x${'𠮷'.repeat(200)}`;
    expect(
      splitMarkdown(rare)
        .map((piece) => piece.text)
        .join(''),
    ).toBe(rare);
    expect(splitMarkdown(rare).map((piece) => piece.text.length)).toEqual([299, 102]);
  });

  test('loses badges, tags and the targets of links, but not the words of either', () => {
    const text = `<p align="center">![build](https://x.test/b.svg)</p>\n\nSee [the long and patient guide](https://x.test) to \`Promise<T>\` in **this** library.`;
    expect(splitMarkdown(text)).toEqual([
      { line: 3, text: 'See the long and patient guide to Promise<T> in this library.' },
    ]);
  });

  test('loses what a terminal would obey', () => {
    const [piece] = splitMarkdown(`A page that tells \u001b[31mthe terminal to go red\u0007 for the rest of the day.`);
    expect(piece?.text).toBe('A page that tells [31mthe terminal to go red for the rest of the day.');
  });

  test('keeps code with the paragraph that introduces it, blank lines and all', () => {
    const text = `Start the server before anything else is done:\n\n\`\`\`sh\n# not a heading\n\nserver --port 80\n\`\`\`\n`;
    expect(splitMarkdown(text)).toEqual([
      { line: 1, text: 'Start the server before anything else is done: # not a heading server --port 80' },
    ]);
  });
});

describe('reading', () => {
  test('numbers passages in input order over all files, each text once', async () => {
    const path = await folder({
      'a.md': sentence(0),
      'b.txt': `${sentence(1)}\n\n# x\n${sentence(0)}`,
      'c.js': sentence(9),
    });
    const { passages, files, found } = await read(path);
    expect(passages.map(({ id, file }) => [id, file])).toEqual([
      [0, 'a.md'],
      [1, 'b.txt'],
      [2, 'b.txt'],
    ]);
    expect({ files, found }).toEqual({ files: 2, found: 3 });
    expect((await readPassages([sourceOf(path, path), sourceOf(path, path)], 100)).passages).toHaveLength(3);
  });

  test('goes into folders, but not into hidden ones, node_modules or links', async () => {
    const path = await folder({ 'top.md': sentence(0) });
    for (const name of ['deep', '.git', 'node_modules']) {
      await mkdir(join(path, name));
      await writeFile(join(path, name, 'page.md'), sentence(name.length));
    }
    await symlink(path, join(path, 'deep', 'again'));
    expect((await read(path)).passages.map(({ file }) => file)).toEqual(['top.md', join('deep', 'page.md')]);
  });

  test('takes a fair share of every file when there is more than the limit', async () => {
    const pages = (n: number, from: number) =>
      Array.from({ length: n }, (_, i) => `# x\n${sentence(from + i)}`).join('\n');
    const path = await folder({ 'big.md': pages(50, 0), 'small.md': pages(2, 100), 'tall.md': pages(50, 200) });
    const { passages, found } = await read(path, 10);
    const count = (file: string) => passages.filter((passage) => passage.file === file).length;
    expect(['big.md', 'small.md', 'tall.md'].map(count)).toEqual([4, 2, 4]);
    expect(found).toBe(102);
  });

  test.each([
    [10, [3, 100, 1], [3, 6, 1]],
    [2, [5, 5, 5], [0, 1, 1]],
    [100, [1, 2], [1, 2]],
    [5, [], []],
  ])('a limit of %i over %j is shared as %j', (limit, counts, shares) => {
    expect(shareOut(limit, counts)).toEqual(shares);
  });

  test('says what is wrong with a path in one line', async () => {
    const path = await folder({ 'empty.md': ' \n', 'binary.md': 'a\0b', 'short.md': 'Hi.', 'no.js': sentence(0) });
    const problem = (name: string) =>
      read(join(path, name)).then(
        () => 'none',
        (error: Error) => `${error.name}: ${error.message}`,
      );
    expect(await problem('nowhere')).toBe(`UserError: No such file or folder: ${join(path, 'nowhere')}`);
    expect(await problem('empty.md')).toBe(`UserError: ${join(path, 'empty.md')} is empty.`);
    expect(await problem('binary.md')).toMatch(/^UserError: .*is not a text file\.$/);
    expect(await problem('short.md')).toMatch(/^UserError: No passage of text in .*short\.md: too short\.$/);
    await mkdir(join(path, 'bare'));
    expect(await problem('bare')).toMatch(/^UserError: No Markdown or text file in .*bare\.$/);
    await symlink('loop.md', join(path, 'loop.md'));
    expect(await problem('loop.md')).toMatch(/^UserError: Cannot read .*loop\.md: ELOOP/);
  });
});
