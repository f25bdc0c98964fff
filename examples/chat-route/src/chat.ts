import { randomUUID } from 'node:crypto';
import { fireAndForget, gatherAllSettled } from 'paceline';
import { problemOf, problemResponse } from './problems.js';
import { type Context, digestOf, promptOf } from './prompt.js';
import { type Ask, Problem, readAsk } from './request.js';
import type { Services } from './services.js';
import { type ChatEvent, eventResponse } from './sse.js';
import type { Question } from './store.js';

const EXCHANGES = 6;
const PASSAGES = 4;
const SAVING = { maxAttempts: 6, baseDelay: 200 };
const CLIENT_LEFT = 499;

const NOTICES: Readonly<Record<string, string>> = {
  products: 'The shop does not answer at the moment, so this answer goes without products.',
  passages: 'Our pages cannot be searched at the moment, so this answer may be less exact.',
  history: 'What was said before cannot be looked up at the moment, so please say it all.',
};

/** The route as a function of a web-standard request, for any host. */
export function createChatRoute(services: Services): (request: Request) => Promise<Response> {
  return async (request) => {
    try {
      const ask = await readAsk(request);
      const place = await services.requests.acquire({ signal: request.signal });
      try {
        return await answer(services, ask, request.signal, () => place.release());
      } catch (error) {
        place.release();
        throw error;
      }
    } catch (error) {
      if (request.signal.aborted) return new Response(null, { status: CLIENT_LEFT });
      const problem = problemOf(error);
      // What the operator has to know: a bug, a wrong key. The rest is in the metrics.
      if (problem === undefined || problem.status === 502) services.log(`chat: ${error}`);
      return problemResponse(problem ?? new Problem(500, 'Something went wrong on our side.'));
    }
  };
}

/**
 * @param onEnd nothing of it is left to do. Not called where it throws.
 * @throws what ends the model's stream before its first token: there is still a status to tell it by.
 */
async function answer(services: Services, ask: Ask, clientLeft: AbortSignal, onEnd: () => void): Promise<Response> {
  const left = new AbortController();
  const signal = AbortSignal.any([clientLeft, left.signal]);
  const startedAt = performance.now();
  const question = { ...ask, id: randomUUID(), text: ask.message, at: new Date() };
  const { context, missing } = await gatherContext(services, question, signal);
  signal.throwIfAborted();
  const gatherMs = performance.now() - startedAt;

  const { llm, model } = services;
  const prompt = promptOf(question.text, context);
  const tokens = llm.stream(({ signal }) => model.answer(prompt, signal), {
    // The answer depends on the prompt, that is on question, history, passages and products, and on nothing else: so equal prompts may
    // share one, and the conversation need not be part of the key. The view is, although the prompt was made from what this view
    // may see: should the prompt miss something one day, then nobody reads what was written for somebody else.
    key: ['answer', question.view, digestOf(model.model, prompt)],
    // Slots go round in turn, so that one busy customer does not keep the others waiting.
    group: question.view === 'visitor' ? question.conversation : question.view,
    signal,
  });
  const track = (outcome: string): void => {
    const data = { outcome, missing, gatherMs, totalMs: performance.now() - startedAt };
    const [id, at] = [randomUUID(), new Date()];
    fireAndForget(() => services.store.track(id, 'chat', data, at), { name: 'analytics', retry: SAVING });
  };
  const first = await tokens.next().catch((error: unknown) => {
    track('no answer');
    throw error;
  });

  async function* events(): AsyncGenerator<ChatEvent> {
    let text = '';
    let outcome = 'left';
    try {
      for (const about of missing) yield { event: 'notice', data: { about, text: NOTICES[about] ?? about } };
      for (let next = first; next.done !== true; next = await tokens.next()) {
        text += next.value;
        yield { event: 'token', data: { text: next.value } };
      }
      outcome = 'complete';
      yield { event: 'done', data: { sources: [...new Set(context.passages.map(({ file }) => file))] } };
    } catch (error) {
      if (signal.aborted) return;
      outcome = 'broken';
      const { message } = problemOf(error) ?? new Problem(500, 'The answer broke off. Please ask again.');
      yield { event: 'error', data: { text: message } };
    } finally {
      save(services, question, text, outcome === 'complete');
      track(outcome);
      onEnd();
    }
  }
  return eventResponse(events(), () => left.abort());
}

/** All at once, and what does not come in time or at all is missing: an answer without products is better than none. */
async function gatherContext(
  { store, limits, vectorOf, products }: Services,
  question: Question,
  signal: AbortSignal,
): Promise<{ context: Context; missing: readonly string[] }> {
  const { values, errors } = await gatherAllSettled(
    {
      saved: () => store.saveQuestion(question),
      history: ({ signal }) => store.history(question, EXCHANGES, signal),
      passages: async ({ signal }) => store.nearest(await vectorOf(question.text, signal), PASSAGES, signal),
      products: ({ signal }) => products(question.text, signal),
    },
    { timeout: limits.contextTimeout, signal },
  );
  // It may have been saved nevertheless, only later. Its id is the same, so it is saved once.
  if ('saved' in errors) fireAndForget(() => store.saveQuestion(question), { name: 'save-question', retry: SAVING });
  const { history = [], passages = [], products: found = [] } = values;
  return {
    context: { history, passages, products: found },
    missing: Object.keys(NOTICES).filter((name) => name in errors),
  };
}

function save({ store }: Services, question: Question, text: string, isComplete: boolean): void {
  if (text === '') return;
  const at = new Date();
  fireAndForget(() => store.saveAnswer(question, text, isComplete, at), { name: 'save-answer', retry: SAVING });
}
