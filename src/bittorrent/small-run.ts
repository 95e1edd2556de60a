import type { PeerSession } from './peer-session.ts';
import type { PieceMemory } from './piece-memory.ts';

/** Several whole files of one block each that lie one behind the other, asked for in one request: PROTOCOL.md §2. */
export class SmallRun {
  /** The first of its pieces, and how many. */
  readonly first: number;
  readonly count: number;
  /** Bytes of all of them. */
  readonly length: number;
  readonly buffer: PieceMemory;
  /** Who was asked. */
  readonly peer: PeerSession;
  /** Its memory was given back. */
  dropped = false;

  constructor({ first, count, length }: RunPlace, buffer: PieceMemory, peer: PeerSession) {
    this.first = first;
    this.count = count;
    this.length = length;
    this.buffer = buffer;
    this.peer = peer;
  }
}

export interface RunPlace {
  readonly first: number;
  readonly count: number;
  readonly length: number;
}
