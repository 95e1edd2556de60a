import type { BlockRequest } from './wire/messages.ts';

/** Requests in one batch at most. */
export const MOST_BLOCKS = 64;

/** What a request counts for, in bytes: never less than its length. */
export type CostOf = (request: BlockRequest) => number;

/** One peer's requests, in the order of their arrival. */
export class UploadQueue {
  #requests: BlockRequest[] = [];
  readonly #costOf: CostOf;

  constructor(costOf: CostOf = ({ length }) => length) {
    this.#costOf = costOf;
  }

  get length(): number {
    return this.#requests.length;
  }

  push(request: BlockRequest): void {
    this.#requests.push(request);
  }

  /** True when there was such a request; one is taken out. */
  cancel(request: BlockRequest): boolean {
    const index = this.#requests.findIndex(
      (other) => other.piece === request.piece && other.begin === request.begin && other.length === request.length,
    );
    if (index < 0) return false;
    this.#requests.splice(index, 1);
    return true;
  }

  hasPiece(piece: number): boolean {
    return this.#requests.some((request) => request.piece === piece);
  }

  /** Takes out the requests of a piece. */
  removePiece(piece: number): BlockRequest[] {
    if (!this.hasPiece(piece)) return [];
    const removed = this.#requests.filter((request) => request.piece === piece);
    this.#requests = this.#requests.filter((request) => request.piece !== piece);
    return removed;
  }

  clear(): BlockRequest[] {
    const all = this.#requests;
    this.#requests = [];
    return all;
  }

  /**
   * Takes out the first requests, up to a cost of `limit` or one request that is larger; those for pieces that `mayServe`
   * refuses stay. Empty when there is none.
   */
  takeBatch(limit: number, mayServe?: (piece: number) => boolean): BlockRequest[] {
    if (!mayServe) return this.#requests.splice(0, countBatch(this.#requests, limit, this.#costOf));
    const accepted = new Map<number, boolean>();
    const isAccepted = ({ piece }: BlockRequest): boolean => {
      const known = accepted.get(piece) ?? mayServe(piece);
      accepted.set(piece, known);
      return known;
    };
    const candidates = this.#requests.filter(isAccepted);
    const batch = candidates.slice(0, countBatch(candidates, limit, this.#costOf));
    const taken = new Set(batch);
    this.#requests = this.#requests.filter((request) => !taken.has(request));
    return batch;
  }
}

/** How many of the first requests make a batch. */
function countBatch(requests: readonly BlockRequest[], limit: number, costOf: CostOf): number {
  let bytes = 0;
  let count = 0;
  let last: BlockRequest | undefined;
  for (const request of requests) {
    const cost = costOf(request);
    const full = count === MOST_BLOCKS || bytes + cost > limit;
    // A batch that is large enough ends with its piece, so that the next one begins with one, too: each is one read.
    if (last && (full || (bytes >= limit / 2 && !follows(request, last)))) break;
    bytes += cost;
    count++;
    last = request;
  }
  return count;
}

function follows(request: BlockRequest, last: BlockRequest): boolean {
  return request.piece === last.piece && request.begin === last.begin + last.length;
}

/** Cuts a batch into contiguous blocks of one piece. */
export function runsOf(batch: readonly BlockRequest[]): BlockRequest[][] {
  const all: BlockRequest[][] = [];
  let run: BlockRequest[] = [];
  for (const request of batch) {
    const last = run.at(-1);
    if (last && !follows(request, last)) {
      all.push(run);
      run = [];
    }
    run.push(request);
  }
  all.push(run);
  return all;
}
