import { randomUUID } from 'node:crypto';
import type { Database } from './database/database.js';

export interface Question {
  /** Made before it is saved, so that saving it again changes nothing. */
  readonly id: string;
  readonly conversation: string;
  /** Who may see it. */
  readonly view: string;
  readonly text: string;
  readonly at: Date;
}

export interface Exchange {
  readonly question: string;
  readonly answer: string;
}

export interface StoredPassage {
  readonly id: number;
  readonly file: string;
  readonly line: number;
  readonly text: string;
}

/** The statements of this application, over any database. */
export class Store {
  readonly #database: Database;
  readonly #hasVectors: boolean;
  /** Which texts, embedded by which model. */
  corpus = '';

  constructor(database: Database, hasVectors: boolean) {
    this.#database = database;
    this.#hasVectors = hasVectors;
  }

  async saveQuestion({ id, conversation, view, text, at }: Question): Promise<void> {
    await this.#database.query(
      'insert into messages (id, conversation, view, text, at) values ($1, $2, $3, $4, $5) on conflict do nothing',
      [id, conversation, view, text, at],
    );
  }

  /** @param isComplete false: its reader left, or the model broke off. */
  async saveAnswer(to: Question, text: string, isComplete: boolean, at: Date): Promise<void> {
    await this.#database.query(
      `insert into messages (id, conversation, view, reply_to, text, is_complete, at)
       values ($1, $2, $3, $4, $5, $6, $7) on conflict do nothing`,
      [randomUUID(), to.conversation, to.view, to.id, text, isComplete, at],
    );
  }

  /**
   * The last exchanges, oldest first. Questions without an answer are no part of it: the one that is being asked may be saved already
   * or not, and who asks it twice must get the same history, or the two could not share an answer.
   */
  async history({ conversation, view }: Question, most: number, signal: AbortSignal): Promise<Exchange[]> {
    const rows = await this.#database.query<Exchange>(
      `select asked.text as question, answered.text as answer
       from messages asked join messages answered on answered.reply_to = asked.id
       where asked.conversation = $1 and asked.view = $2 order by asked.at desc, asked.id limit $3`,
      [conversation, view, most],
      signal,
    );
    return rows.reverse();
  }

  /** By cosine, exactly. An index pays from some ten thousand passages on. Without pgvector the sum is written out. */
  async nearest(vector: readonly number[], most: number, signal: AbortSignal): Promise<StoredPassage[]> {
    const order = this.#hasVectors
      ? 'vector <=> $2::vector'
      : `(select -sum(a * b) / nullif(sqrt(sum(a * a)) * sqrt(sum(b * b)), 0) from unnest(vector, $2::real[]) as pair(a, b))`;
    return this.#database.query<StoredPassage>(
      `select id, file, line, text from passages where corpus = $1 order by ${order}, id limit $3`,
      [this.corpus, this.#literal(vector), most],
      signal,
    );
  }

  async countPassages(): Promise<number> {
    const [row] = await this.#database.query<{ count: number }>(
      'select count(*)::integer as count from passages where corpus = $1',
      [this.corpus],
    );
    return row?.count ?? 0;
  }

  async savePassages(rows: readonly (StoredPassage & { readonly vector: readonly number[] })[]): Promise<void> {
    await this.#database.query(
      `insert into passages (corpus, id, file, line, text, vector)
       select $1, id, file, line, text, vector::${this.#hasVectors ? 'vector' : 'real[]'}
       from unnest($2::integer[], $3::text[], $4::integer[], $5::text[], $6::text[]) as t(id, file, line, text, vector)
       on conflict do nothing`,
      [
        this.corpus,
        rows.map(({ id }) => id),
        rows.map(({ file }) => file),
        rows.map(({ line }) => line),
        rows.map(({ text }) => text),
        rows.map(({ vector }) => this.#literal(vector)),
      ],
    );
  }

  /** @param id made by the caller: a repeat changes nothing. */
  async track(id: string, kind: string, data: object, at: Date): Promise<void> {
    await this.#database.query(
      'insert into analytics (id, at, kind, data) values ($1, $2, $3, $4) on conflict do nothing',
      [id, at, kind, JSON.stringify(data)],
    );
  }

  #literal(vector: readonly number[]): string {
    return this.#hasVectors ? JSON.stringify(vector) : `{${vector.join(',')}}`;
  }
}
