import { onAbort } from '../common/abort.ts';
import { type ErrorCode, PeerwireError } from '../common/errors.ts';
import type { DownloadRequest, PeerApi, TransferInfo } from '../peer/api.ts';

export interface FollowOptions {
  readonly onUpdate: (transfer: TransferInfo) => void;
  /** Milliseconds of waiting for a source after which we give up; several times as long while there should be one. */
  readonly patience: number;
  /** Whether a peer that has the content is connected: then something else may take its time. */
  readonly hasSource: () => Promise<boolean>;
  readonly signal: AbortSignal;
}

/**
 * Starts or resumes a download and resolves when it is in place. When it cannot go on, or the signal aborts, the
 * transfer is left paused: the same request resumes it.
 */
export async function followDownload(
  api: PeerApi,
  request: DownloadRequest,
  { onUpdate, patience, hasSource, signal }: FollowOptions,
): Promise<TransferInfo> {
  let id: string | undefined;
  let settle: (outcome: { done: TransferInfo } | { error: unknown }) => void = () => undefined;
  const outcome = new Promise<TransferInfo>((resolve, reject) => {
    settle = (result) => ('done' in result ? resolve(result.done) : reject(result.error));
  });
  outcome.catch(() => undefined); // It is awaited below, unless starting fails first.

  const stall = new Stall(patience, async (count) => {
    if (count < STALLS_WITH_SOURCE && (await hasSource())) return;
    settle({
      error: new PeerwireError('no-sources', 'No source is online any more; the same command resumes when one is.'),
    });
  });
  const look = (transfer: TransferInfo): void => {
    onUpdate(transfer);
    // Content that is here already may be compared and copied meanwhile: that counts as progress.
    stall.set(transfer.state === 'waiting' ? `${transfer.done}` : undefined);
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
  const aborting = onAbort(signal, (error) => settle({ error }));
  try {
    signal.throwIfAborted();
    ({ id } = await api.download(request));
    // What happened before we knew the id shows in its present state.
    const present = (await api.transfers()).find((transfer) => transfer.id === id);
    if (present !== undefined) look(present);
    return await outcome;
  } catch (error) {
    if (id !== undefined) await api.pauseTransfer(id).catch(() => undefined); // It may have ended, or the peer with it.
    throw error;
  } finally {
    stall.set(undefined);
    aborting.dispose();
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

/** So often a download may look stuck in a row while it has a source. */
const STALLS_WITH_SOURCE = 5;

/** Calls back, with a count, each time that a condition has held for a time without a break. */
class Stall {
  readonly #time: number;
  readonly #callback: (count: number) => Promise<void>;
  #condition: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  /** `callback` must not reject. */
  constructor(time: number, callback: (count: number) => Promise<void>) {
    this.#time = time;
    this.#callback = callback;
  }

  /** Another condition, or none, is a break. */
  set(condition: string | undefined): void {
    if (condition === this.#condition) return;
    this.#condition = condition;
    clearInterval(this.#timer);
    if (condition === undefined) return;
    let count = 0;
    this.#timer = setInterval(() => {
      count++;
      void this.#callback(count);
    }, this.#time);
  }
}
