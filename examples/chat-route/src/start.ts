import { BackgroundTasks } from 'paceline';
import { prepareCorpus } from './corpus.js';
import { type DatabaseOptions, openDatabase } from './database/open.js';
import { createServices, type Services, type ServicesOptions } from './services.js';

export interface StartOptions extends Omit<ServicesOptions, 'database'> {
  readonly database: DatabaseOptions;
}

/** Opens the database, sets up what the route needs, and stores the shop's pages. @throws {UserError} what is wrong, in one line. */
export async function startServices(options: StartOptions): Promise<Services> {
  const { log = console.error } = options;
  // Bounded: behind a slow database an unbounded one is a memory leak.
  BackgroundTasks.shared = new BackgroundTasks({
    concurrency: 8,
    maxQueue: 10_000,
    onError: (error, { name, attempts }) => log(`background: ${name} failed after ${attempts} attempts: ${error}`),
  });
  const database = await openDatabase(options.database);
  try {
    const services = await createServices({ ...options, database });
    await prepareCorpus(services);
    return services;
  } catch (error) {
    await database.close();
    throw error;
  }
}
