export type Level = 'info' | 'warn' | 'error';

export type Log = (level: Level, message: string, data?: Readonly<Record<string, unknown>>) => void;

/** One line for each. */
export const consoleLog: Log = (level, message, data = {}) => {
  const fields = Object.entries(data).map(([name, value]) => `${name}=${textOf(value)}`);
  console[level](`${new Date().toISOString()} ${level} ${[message, ...fields].join(' ')}`);
};

function textOf(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(`${value.name}: ${value.message}`.slice(0, 300));
  return typeof value === 'string' ? value : JSON.stringify(value);
}
