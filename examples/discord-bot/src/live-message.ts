/** Where an answer is shown: a new message at first, edits of it after that. */
export interface Place {
  show(text: string): Promise<void>;
}

const MOST_CHARACTERS = 2_000;
/** At the end of what is not the whole answer yet. */
export const CURSOR = ' ▌';
const BROKEN_OFF = '\n-# My answer broke off here. Please ask again.';

export interface LiveMessageOptions {
  /** Least time between two edits, ms. */
  readonly editEvery: number;
  /** An edit on the way failed. The next one, or the last, may do better. */
  readonly onMiss: (error: unknown) => void;
}

/** `nothing`: it failed before anything was shown. `broken`: what was shown is marked as broken off. */
export type Shown =
  | { readonly status: 'whole'; readonly text: string }
  | { readonly status: 'broken' | 'nothing'; readonly error: unknown };

/**
 * Shows an answer while it is written. There is one edit on its way at most, and it carries all that is there by then, so a slow or limited
 * Discord makes for fewer edits, never for a queue of them. Resolves when the last edit has arrived.
 *
 * @throws what the last edit throws.
 */
export async function showLive(
  chunks: AsyncIterable<string>,
  place: Place,
  { editEvery, onMiss }: LiveMessageOptions,
): Promise<Shown> {
  let text = '';
  let isShown = false;
  let edit: Promise<void> | undefined;
  let next = 0;
  const show = async (): Promise<void> => {
    try {
      await place.show(fit(text, CURSOR));
      isShown = true;
    } catch (error) {
      onMiss(error);
    }
    edit = undefined;
  };
  try {
    for await (const chunk of chunks) {
      text += chunk;
      if (edit !== undefined || performance.now() < next) continue;
      next = performance.now() + editEvery;
      edit = show();
    }
  } catch (error) {
    await edit;
    if (isShown) await place.show(fit(text, BROKEN_OFF));
    return { status: isShown ? 'broken' : 'nothing', error };
  }
  await edit;
  await place.show(fit(text, ''));
  return { status: 'whole', text };
}

function fit(text: string, ending: string): string {
  const room = MOST_CHARACTERS - ending.length;
  return (text.length <= room ? text : `${text.slice(0, room - 1)}…`) + ending;
}
