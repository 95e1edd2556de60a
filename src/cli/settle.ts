import { abortable } from '../common/abort.ts';
import type { PeerApi } from '../peer/api.ts';

export interface SettleOptions {
  /** Milliseconds at most. */
  readonly wait: number;
  /** Milliseconds without a change after which a list that `isEnough` is taken. */
  readonly quiet: number;
  readonly signal: AbortSignal;
}

/**
 * Asks again after every event until the answer is enough and has been the same for a moment, or the time is over;
 * returns the last answer.
 */
export async function settle<T>(
  api: PeerApi,
  ask: () => Promise<T>,
  isEnough: (answer: T) => boolean,
  options: SettleOptions,
): Promise<T> {
  const end = performance.now() + options.wait;
  const changes = new ChangeWatch(api);
  let last: string | undefined;
  let since = 0;
  try {
    for (;;) {
      const changed = changes.next();
      const answer = await abortable(options.signal, ask());
      const now = performance.now();
      const text = JSON.stringify(answer);
      if (text !== last) since = now;
      last = text;
      const until = isEnough(answer) ? Math.min(end, since + options.quiet) : end;
      if (now >= until) return answer;
      await abortable(options.signal, within(changed, until - now));
    }
  } finally {
    changes.dispose();
  }
}

/** Wakes up on events that may change a list of peers or shares. */
class ChangeWatch {
  readonly #subscription;
  #wake: () => void = () => undefined;

  constructor(api: PeerApi) {
    this.#subscription = api.onEvent((event) => {
      if (event.event === 'peers' || event.event === 'shares' || event.event === 'networks') this.#wake();
    });
  }

  /** Resolves at the first change from now on. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  dispose(): void {
    this.#subscription.dispose();
  }
}

/** Waits for the promise, but not longer than `time`. */
async function within(promise: Promise<void>, time: number): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, time);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
