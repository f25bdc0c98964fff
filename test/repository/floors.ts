import { readdirSync, readFileSync } from 'node:fs';
import { join, posix, sep } from 'node:path';
import ts from 'typescript';

/**
 * The house of floors, lowest first. A file imports its own folder and lower floors; folders of one floor do not know each
 * other. `catalogue` knows all errors and all metrics, so it stands above all that have some. The roof, index.ts, is above
 * them all and on no list.
 */
const FLOORS: readonly (readonly string[])[] = [
  ['core'],
  ['metrics'],
  ['limits'],
  ['pool', 'coalescer', 'retry', 'breaker'],
  ['batch', 'background', 'upstream'],
  ['catalogue'],
  ['adapters', 'testing'],
];
const ROOF = 'index.ts';
const CLOCK = 'core/clock.ts';

const TIME_AND_CHANCE = new Set([
  'Date',
  'performance',
  'setTimeout',
  'clearTimeout',
  'setInterval',
  'clearInterval',
  'setImmediate',
  'queueMicrotask',
]);
/** By owner and member. The first belongs to the clock; the others leak on signals and promises that live long. */
const MEMBERS = new Map([
  ['Math.random', 'belongs in core/clock.ts'],
  ['Promise.race', 'retains its losers'],
  ['AbortSignal.any', 'retains its children'],
  ['AbortSignal.timeout', 'is a timer that nobody can cancel'],
]);

/** Path inside `src`, with slashes, and text of each source file. Declarations have no code and obey no floor. */
export function readSources(root: string): Map<string, string> {
  const sources = new Map<string, string>();
  for (const entry of readdirSync(root, { recursive: true, encoding: 'utf8' })) {
    if (!entry.endsWith('.ts') || entry.endsWith('.d.ts')) continue;
    sources.set(entry.split(sep).join('/'), readFileSync(join(root, entry), 'utf8'));
  }
  return sources;
}

/** What breaks the rules of the house, one line each: `pool/promise-pool.ts:12: imports retry/policy.js, which is not below it`. */
export function findViolations(sources: ReadonlyMap<string, string>, peers: readonly string[] = []): string[] {
  return [...sources].flatMap(([path, text]) => violationsOf(path, text, peers));
}

function violationsOf(path: string, text: string, peers: readonly string[]): string[] {
  const file = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const violations: string[] = [];
  const report = (node: ts.Node, what: string): void => {
    const { line } = file.getLineAndCharacterOfPosition(node.getStart(file));
    violations.push(`${path}:${line + 1}: ${what}`);
  };

  if (path !== ROOF && floorOf(path) === undefined) report(file, 'is on no floor');
  if (path === ROOF) for (const statement of file.statements) checkRoof(statement, report);

  const visit = (node: ts.Node): void => {
    const specifier = specifierOf(node);
    if (specifier !== undefined) {
      const fault = importFault(path, specifier, isStatic(node), peers);
      if (fault !== undefined) report(node, `imports ${specifier}, ${fault}`);
    }
    if (ts.isExportDeclaration(node) && (node.exportClause === undefined || ts.isNamespaceExport(node.exportClause))) {
      report(node, 're-exports without naming');
    }
    if (isDefaultExport(node)) report(node, 'has a default export');
    const name = nameOf(node);
    if (path !== CLOCK && name !== undefined && TIME_AND_CHANCE.has(name)) {
      report(node, `names ${name}, which belongs in core/clock.ts`);
    }
    for (const member of membersOf(node)) {
      const reason = MEMBERS.get(member);
      if (reason !== undefined && !(path === CLOCK && member === 'Math.random')) {
        report(node, `uses ${member}, which ${reason}`);
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return violations;
}

function checkRoof(statement: ts.Statement, report: (node: ts.Node, what: string) => void): void {
  const isNamedReExport = ts.isExportDeclaration(statement) && statement.moduleSpecifier !== undefined;
  if (!isNamedReExport) report(statement, 'holds more than named re-exports');
}

function importFault(
  path: string,
  specifier: string,
  isStaticImport: boolean,
  peers: readonly string[],
): string | undefined {
  if (specifier.startsWith('node:')) return isStaticImport ? 'which other runtimes lack' : undefined;
  if (!specifier.startsWith('.')) {
    const [scopeOrName = '', name] = specifier.split('/');
    const dependency = scopeOrName.startsWith('@') ? `${scopeOrName}/${name}` : scopeOrName;
    return path.startsWith('adapters/') && peers.includes(dependency) ? undefined : 'which is no part of the package';
  }
  if (!specifier.endsWith('.js')) return 'without its .js';
  const target = posix.join(posix.dirname(path), specifier);
  if (path === ROOF || folderOf(target) === folderOf(path)) return undefined;
  const own = floorOf(path);
  const other = floorOf(target);
  return own !== undefined && other !== undefined && other < own ? undefined : 'which is not below it';
}

/** The folder on a floor; undefined for what lies outside of all folders. */
function folderOf(path: string): string | undefined {
  const slash = path.indexOf('/');
  return slash === -1 ? undefined : path.slice(0, slash);
}

function floorOf(path: string): number | undefined {
  const folder = folderOf(path);
  const floor = FLOORS.findIndex((folders) => folder !== undefined && folders.includes(folder));
  return floor === -1 ? undefined : floor;
}

/** The module that a node imports or re-exports, in whatever way, types included. */
function specifierOf(node: ts.Node): string | undefined {
  let specifier: ts.Node | undefined;
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) specifier = node.moduleSpecifier;
  else if (ts.isExternalModuleReference(node)) specifier = node.expression;
  else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) specifier = node.argument.literal;
  else if (ts.isCallExpression(node) && isImportCall(node)) specifier = node.arguments[0];
  return specifier !== undefined && ts.isStringLiteralLike(specifier) ? specifier.text : undefined;
}

function isImportCall(node: ts.CallExpression): boolean {
  return (
    node.expression.kind === ts.SyntaxKind.ImportKeyword ||
    (ts.isIdentifier(node.expression) && node.expression.text === 'require')
  );
}

function isStatic(node: ts.Node): boolean {
  return !ts.isCallExpression(node);
}

function isDefaultExport(node: ts.Node): boolean {
  if (ts.isExportAssignment(node)) return true;
  if (ts.isExportSpecifier(node)) return node.name.text === 'default';
  return (
    ts.canHaveModifiers(node) && (ts.getModifiers(node) ?? []).some((m) => m.kind === ts.SyntaxKind.DefaultKeyword)
  );
}

/** An identifier, or the text in `globalThis['Date']` and `const { 'Date': X } = globalThis`. Other texts name nothing. */
function nameOf(node: ts.Node): string | undefined {
  if (ts.isIdentifier(node)) return node.text;
  const isName =
    ts.isStringLiteralLike(node) && (ts.isElementAccessExpression(node.parent) || ts.isBindingElement(node.parent));
  return isName ? node.text : undefined;
}

/** `owner.member` for each way to reach a member of a global: dot, brackets, destructuring. */
function membersOf(node: ts.Node): string[] {
  if (ts.isPropertyAccessExpression(node)) return [`${lastName(node.expression)}.${node.name.text}`];
  if (ts.isElementAccessExpression(node) && ts.isStringLiteralLike(node.argumentExpression)) {
    return [`${lastName(node.expression)}.${node.argumentExpression.text}`];
  }
  if (ts.isVariableDeclaration(node) && ts.isObjectBindingPattern(node.name) && node.initializer !== undefined) {
    const owner = lastName(node.initializer);
    return node.name.elements.map(({ propertyName, name }) => `${owner}.${(propertyName ?? name).getText()}`);
  }
  return [];
}

/** `Promise` of `Promise` and of `globalThis.Promise`. */
function lastName(node: ts.Expression): string | undefined {
  if (ts.isIdentifier(node)) return node.text;
  return ts.isPropertyAccessExpression(node) ? node.name.text : undefined;
}
