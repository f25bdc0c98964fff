import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { codeOf, messageOf, UserError } from './errors.js';

/** Somewhere to read text from. */
export interface Source {
  /** How messages call it. */
  readonly label: string;
  readonly path: string;
  /** File names are shown relative to this folder. */
  readonly base: string;
  /** The folder is a `node_modules`: of each package its README is read. */
  readonly packages: boolean;
}

const TEXT = new Set(['.md', '.mdx', '.markdown', '.txt']);

/** Without arguments: the repository that this example is part of, and the packages that are installed in it. */
export function defaultSources(): readonly Source[] {
  const base = fileURLToPath(new URL('../../../', import.meta.url));
  return [
    { label: 'this repository', path: base, base, packages: false },
    { label: 'the installed packages', path: join(base, 'node_modules'), base, packages: true },
  ];
}

export function sourceOf(path: string, base: string): Source {
  return { label: path, path: resolve(base, path), base, packages: false };
}

/** Every text file of a source, in a fixed order. @throws {UserError} there is none, or one cannot be read. */
export async function* fileTexts(source: Source): AsyncGenerator<{ file: string; text: string }> {
  const isFolder = (await reading(source.path, source, () => stat(source.path))).isDirectory();
  let any = false;
  for await (const path of isFolder ? textFiles(source) : [source.path]) {
    any = true;
    const text = await reading(path, source, () => readFile(path, 'utf8'));
    // Named by hand, so its emptiness is news. In a folder an empty file is just no text.
    if (!isFolder && text.trim() === '') throw new UserError(`${source.label} is empty.`);
    if (text.includes('\0')) throw new UserError(`${nameOf(path, source)} is not a text file.`);
    yield { file: nameOf(path, source), text };
  }
  if (!any) throw new UserError(`No Markdown or text file in ${source.label}.`);
}

function textFiles(source: Source): AsyncGenerator<string> {
  return source.packages ? readmes(source.path, source) : textsBelow(source.path, source);
}

async function* textsBelow(folder: string, source: Source): AsyncGenerator<string> {
  const entries = await list(folder, source);
  // Files before folders: the page at the top says what the rest is about.
  for (const entry of entries) if (isText(entry)) yield join(folder, entry.name);
  for (const entry of entries) if (isFolderToRead(entry)) yield* textsBelow(join(folder, entry.name), source);
}

async function* readmes(folder: string, source: Source): AsyncGenerator<string> {
  for (const entry of await list(folder, source)) {
    if (!isFolderToRead(entry)) continue;
    const path = join(folder, entry.name);
    if (entry.name.startsWith('@')) yield* readmes(path, source);
    else
      for (const page of await list(path, source))
        if (isText(page) && /^readme\./i.test(page.name)) yield join(path, page.name);
  }
}

function isText(entry: Dirent): boolean {
  return entry.isFile() && TEXT.has(extname(entry.name).toLowerCase());
}

/** Links are not followed: npm links workspaces into `node_modules`, so a walk would come back to where it began. */
function isFolderToRead(entry: Dirent): boolean {
  return entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== 'node_modules';
}

async function list(folder: string, source: Source): Promise<Dirent[]> {
  const entries = await reading(folder, source, () => readdir(folder, { withFileTypes: true }));
  // By code unit: the order must not depend on the machine's locale.
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function reading<T>(path: string, source: Source, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const name = path === source.path ? source.label : nameOf(path, source);
    const code = codeOf(error);
    if (code === 'ENOENT') throw new UserError(`No such file or folder: ${name}`, { cause: error });
    if (code === 'EACCES' || code === 'EPERM')
      throw new UserError(`Cannot read ${name}: permission denied.`, { cause: error });
    throw new UserError(`Cannot read ${name}: ${messageOf(error)}`, { cause: error });
  }
}

function nameOf(path: string, source: Source): string {
  const name = relative(source.base, path);
  return name.startsWith('..') ? path : name;
}
