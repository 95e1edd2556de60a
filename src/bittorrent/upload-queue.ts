import type { BlockRequest } from './wire/messages.ts';

/** Requests in one batch at most. */
const MOST_BLOCKS = 64;

/** Pieces of runs in one batch at most, or one run that has more: each is a file to open. */
const MOST_FILES = 128;

/** A block, or a run of pieces (PROTOCOL.md §2). */
export interface UploadRequest extends BlockRequest {
  /** 1: a block. More: all of so many pieces, from `piece` on. */
  readonly pieces: number;
}

/** What a request counts for, in bytes: never less than its length. */
export type CostOf = (request: UploadRequest) => number;

/** One peer's requests, in the order of their arrival. */
export class UploadQueue {
  #requests: UploadRequest[] = [];
  readonly #costOf: CostOf;

  constructor(costOf: CostOf = ({ length }) => length) {
    this.#costOf = costOf;
  }

  get length(): number {
    return this.#requests.length;
  }

  push(request: UploadRequest): void {
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
    return this.#requests.some((request) => concerns(request, piece));
  }

  /** Takes out the requests of a piece, and runs that it belongs to. */
  removePiece(piece: number): UploadRequest[] {
    return this.#remove((request) => concerns(request, piece));
  }

  /** Takes out all runs. */
  removeRuns(): UploadRequest[] {
    return this.#remove(isRun);
  }

  clear(): UploadRequest[] {
    const all = this.#requests;
    this.#requests = [];
    return all;
  }

  /**
   * Takes out the first requests, up to a cost of `limit` or one request that is larger; those for pieces that `mayServe`
   * refuses stay. Empty when there is none.
   */
  takeBatch(limit: number, mayServe?: (piece: number) => boolean): UploadRequest[] {
    if (!mayServe) return this.#requests.splice(0, countBatch(this.#requests, limit, this.#costOf));
    const accepted = new Map<number, boolean>();
    const isAccepted = ({ piece }: UploadRequest): boolean => {
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

  #remove(isMeant: (request: UploadRequest) => boolean): UploadRequest[] {
    if (!this.#requests.some(isMeant)) return [];
    const removed = this.#requests.filter(isMeant);
    this.#requests = this.#requests.filter((request) => !isMeant(request));
    return removed;
  }
}

export function isRun({ pieces }: UploadRequest): boolean {
  return pieces > 1;
}

function concerns(request: UploadRequest, piece: number): boolean {
  return piece >= request.piece && piece < request.piece + request.pieces;
}

/** How many of the first requests make a batch. */
function countBatch(requests: readonly UploadRequest[], limit: number, costOf: CostOf): number {
  let bytes = 0;
  let count = 0;
  let files = 0;
  let last: UploadRequest | undefined;
  for (const request of requests) {
    const cost = costOf(request);
    if (isRun(request)) files += request.pieces;
    const full = count === MOST_BLOCKS || files > MOST_FILES || bytes + cost > limit;
    // A batch that is large enough ends with its piece, so that the next one begins with one, too: each is one read.
    if (last && (full || (bytes >= limit / 2 && !follows(request, last)))) break;
    bytes += cost;
    count++;
    last = request;
  }
  return count;
}

function follows(request: UploadRequest, last: UploadRequest): boolean {
  return request.piece === last.piece && request.begin === last.begin + last.length && !isRun(last);
}

/** Cuts a batch into contiguous blocks of one piece, and single runs of pieces. */
export function contiguousOf(batch: readonly UploadRequest[]): UploadRequest[][] {
  const all: UploadRequest[][] = [];
  let group: UploadRequest[] = [];
  for (const request of batch) {
    const last = group.at(-1);
    if (last && !follows(request, last)) {
      all.push(group);
      group = [];
    }
    group.push(request);
  }
  all.push(group);
  return all;
}
