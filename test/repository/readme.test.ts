import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';
import * as paceline from '../../src/index.js';

const root = fileURLToPath(new URL('../../', import.meta.url));
const readme = readFileSync(`${root}README.md`, 'utf8');
const snippets = [...readme.matchAll(/^```ts\n(.*?)^```/gms)].map(([, code], i) => ({
  name: `snippet ${i + 1}`,
  code: code ?? '',
}));

/** What the snippets talk to: counts calls, embeds texts, and is flaky once. */
function upstream(): { fetch: typeof fetch; calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    fetch: async (url, init) => {
      const { pathname } = new URL(String(url));
      calls.push(pathname);
      if (pathname === '/flaky' && calls.length === 1)
        return new Response('', { status: 503, headers: { 'retry-after': '0' } });
      if (pathname === '/flaky') return new Response('at last');
      if (pathname === '/embeddings')
        return Response.json((JSON.parse(String(init?.body)) as string[]).map((text) => [text.length]));
      return Response.json({ path: pathname, name: 'Ada' });
    },
  };
}

/** Runs a snippet as a module's body, with `paceline`, `fetch` and `console` handed in. */
async function run(code: string): Promise<{ printed: unknown[][]; calls: string[] }> {
  const javascript = ts
    .transpile(code, { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext })
    .replace(/^import (\{.*?\}) from 'paceline';$/gm, 'const $1 = paceline;');
  const printed: unknown[][] = [];
  const print = (...words: unknown[]) => void printed.push(words);
  const { fetch, calls } = upstream();
  const AsyncFunction = (async () => {}).constructor as new (
    ...args: string[]
  ) => (...args: unknown[]) => Promise<void>;
  await new AsyncFunction('paceline', 'fetch', 'console', javascript)(paceline, fetch, {
    log: print,
    warn: print,
    error: print,
  });
  return { printed, calls };
}

describe('the six snippets of the README', () => {
  test('are six', () => expect(snippets).toHaveLength(6));

  test('compile as they stand', () => {
    const { config } = ts.readConfigFile(`${root}tsconfig.json`, ts.sys.readFile);
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root);
    const files = new Map(snippets.map(({ code }, i) => [`${root}test/repository/readme-${i}.mts`, code]));
    const all = { ...options, paths: { paceline: [`${root}src/index.ts`] }, noEmit: true };
    const host = ts.createCompilerHost(all);
    const read = host.readFile.bind(host);
    const exists = host.fileExists.bind(host);
    const open = host.getSourceFile.bind(host);
    host.readFile = (path) => files.get(path) ?? read(path);
    host.fileExists = (path) => files.has(path) || exists(path);
    host.getSourceFile = (path, target) => {
      const code = files.get(path);
      return code === undefined ? open(path, target) : ts.createSourceFile(path, code, target);
    };
    const program = ts.createProgram([...files.keys()], all, host);
    const complaints = [...files.keys()].flatMap((path) => {
      const file = program.getSourceFile(path);
      return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)];
    });
    expect(complaints.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))).toEqual([]);
  });

  test('bound it', async () => {
    const { printed, calls } = await run(snippets[0]?.code ?? '');
    expect(calls).toEqual(['/orders', '/visitors']);
    expect(printed[1]).toEqual([0]);
  });

  test('share it', async () => {
    const { printed, calls } = await run(snippets[1]?.code ?? '');
    expect(calls).toEqual(['/acme/users/1']);
    expect(printed).toEqual([[true, 1]]);
  });

  test('batch it', async () => {
    const { printed, calls } = await run(snippets[2]?.code ?? '');
    expect(calls).toEqual(['/embeddings', '/embeddings', '/embeddings']);
    expect(printed).toEqual([[50, 3]]);
  });

  test('retry it', async () => {
    const { printed, calls } = await run(snippets[3]?.code ?? '');
    expect(calls).toEqual(['/flaky', '/flaky']);
    expect(printed).toEqual([['at last']]);
  });

  test('detach it', async () => {
    const { printed, calls } = await run(snippets[4]?.code ?? '');
    expect(calls).toEqual(['/analytics']);
    expect(printed).toEqual([[1, []]]);
  });
});
