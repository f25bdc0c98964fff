/** What the person at the keyboard can put right. Shown as one line, without a stack. */
export class UserError extends Error {
  readonly exitCode: number;

  constructor(message: string, options?: { exitCode?: number; cause?: unknown }) {
    super(message, options);
    this.name = 'UserError';
    this.exitCode = options?.exitCode ?? 1;
  }
}

export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // Node tries every address of a host, and says of each why not.
  const [first] = error instanceof AggregateError ? error.errors : [];
  return error.message === '' ? messageOf(first ?? codeOf(error) ?? error.name) : error.message;
}

/** The `code` of an error, such as ECONNREFUSED or PostgreSQL's 53300. */
export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
