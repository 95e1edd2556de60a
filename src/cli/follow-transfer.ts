import { type ErrorCode, PeerwireError } from '../common/errors.ts';
import type { DownloadRequest, PeerApi, TransferInfo } from '../peer/api.ts';

export interface FollowOptions {
  readonly onUpdate: (transfer: TransferInfo) => void;
  /** Milliseconds without any source after which we give up. */
  readonly patience: number;
  readonly signal: AbortSignal;
}

/**
 * Starts or resumes a download and resolves when it is in place. When it cannot go on, or the signal aborts, the
 * transfer is left paused: the same request resumes it.
 */
export async function followDownload(
  api: PeerApi,
  request: DownloadRequest,
  { onUpdate, patience, signal }: FollowOptions,
): Promise<TransferInfo> {
  let id: string | undefined;
  let settle: (outcome: { done: TransferInfo } | { error: unknown }) => void = () => undefined;
  const outcome = new Promise<TransferInfo>((resolve, reject) => {
    settle = (result) => ('done' in result ? resolve(result.done) : reject(result.error));
  });
  outcome.catch(() => undefined); // It is awaited below, unless starting fails first.

  const stall = new Stall(patience, () => {
    settle({
      error: new PeerwireError('no-sources', 'No source is online any more; the same command resumes when one is.'),
    });
  });
  const look = (transfer: TransferInfo): void => {
    onUpdate(transfer);
    stall.set(transfer.state === 'waiting');
    if (transfer.state === 'done') settle({ done: transfer });
    else if (transfer.state === 'failed' || transfer.state === 'paused') settle({ error: endOf(transfer) });
  };
  const subscription = api.onEvent((event) => {
    if (id === undefined) return;
    if (event.event === 'transfer' && event.transfer.id === id) look(event.transfer);
    else if (event.event === 'transfer-removed' && event.id === id) {
      settle({ error: new PeerwireError('cancelled', 'The transfer was cancelled by another program.') });
    }
  });
  const abort = (): void => settle({ error: signal.reason });
  signal.addEventListener('abort', abort, { once: true });
  try {
    signal.throwIfAborted();
    ({ id } = await api.download(request));
    // What happened before we knew the id shows in its present state.
    const present = (await api.transfers()).find((transfer) => transfer.id === id);
    if (present !== undefined) look(present);
    if (signal.aborted) abort();
    return await outcome;
  } catch (error) {
    if (id !== undefined) await api.pauseTransfer(id).catch(() => undefined); // It may have ended, or the peer with it.
    throw error;
  } finally {
    stall.set(false);
    signal.removeEventListener('abort', abort);
    subscription.dispose();
  }
}

function endOf(transfer: TransferInfo): PeerwireError {
  const { error } = transfer;
  if (error === undefined)
    return new PeerwireError('cancelled', 'The transfer was paused; the same command resumes it.');
  // Codes cross as text; an unknown one of a newer peer is treated like any other failure.
  return new PeerwireError(error.code as ErrorCode, error.message);
}

/** Calls back when a condition has held for a time without a break. */
class Stall {
  readonly #time: number;
  readonly #callback: () => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(time: number, callback: () => void) {
    this.#time = time;
    this.#callback = callback;
  }

  set(holds: boolean): void {
    if (holds) this.#timer ??= setTimeout(this.#callback, this.#time);
    else {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
  }
}
