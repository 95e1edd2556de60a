import type { Clock } from './clock.ts';
import { type Disposable, toDisposable } from './disposable.ts';
import { PeerwireError } from './errors.ts';

/** Why the signal was aborted, as an error of ours: 'cancelled' where whoever did it gave no other. */
export function abortReason({ reason }: AbortSignal): PeerwireError {
  return reason instanceof PeerwireError ? reason : new PeerwireError('cancelled', 'Cancelled.', { cause: reason });
}

/** Calls back once when the signal aborts, at once if it has; no more when the result is disposed. */
export function onAbort(signal: AbortSignal, callback: (reason: PeerwireError) => void): Disposable {
  const abort = (): void => callback(abortReason(signal));
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  return toDisposable(() => signal.removeEventListener('abort', abort));
}

/** The promise, or a rejection as soon as the signal aborts. */
export async function abortable<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  // Whichever loses the race is ignored, not unhandled.
  promise.catch(() => undefined);
  if (signal.aborted) throw abortReason(signal);
  let listening: Disposable | undefined;
  const aborted = new Promise<never>((_, reject) => {
    listening = onAbort(signal, reject);
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    listening?.dispose();
  }
}

export interface TimeLimit {
  readonly clock: Clock;
  /** Milliseconds. */
  readonly limit: number;
  /** What the signal is aborted with then; default: a `timeout`. */
  readonly reason?: () => PeerwireError;
  /** Aborts as well. */
  readonly signal?: AbortSignal | undefined;
}

/** Runs the action with a signal that aborts when its time is over. The action settles by itself: nobody else ends it. */
export async function withTimeLimit<T>(
  { clock, limit, reason, signal }: TimeLimit,
  action: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const late = new AbortController();
  const timer = clock.setTimeout(
    () => late.abort(reason?.() ?? new PeerwireError('timeout', 'It took too long.')),
    limit,
  );
  try {
    return await action(signal ? AbortSignal.any([signal, late.signal]) : late.signal);
  } finally {
    timer.dispose();
  }
}
