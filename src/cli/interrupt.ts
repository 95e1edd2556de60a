import { type Disposable, toDisposable } from '../common/disposable.ts';
import { PeerwireError } from '../common/errors.ts';

/** What shells report for a program that was ended by Ctrl-C. */
const FORCED = 130;

/**
 * Ctrl-C, and whoever asks the process to end, abort the signal: the command stops and stores where it was. A second
 * Ctrl-C ends it at once; stored state survives that, too.
 */
export function onInterrupt(controller: AbortController): Disposable {
  const stop = (signal: NodeJS.Signals): void => {
    if (controller.signal.aborted && signal === 'SIGINT') process.exit(FORCED);
    controller.abort(new PeerwireError('cancelled', 'Interrupted.'));
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, stop);
  return toDisposable(() => {
    for (const signal of signals) process.off(signal, stop);
  });
}

/** Resolves when the signal aborts. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
