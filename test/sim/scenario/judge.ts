import { pieceAt } from '../../../src/bittorrent/metainfo.ts';
import { leafHashes, type TestVersion } from '../test-version.ts';
import type { VirtualClock } from '../virtual-clock.ts';

/** Most that was ever reached, by what it is. */
export interface Maxima {
  /** Bytes waiting in one connection of an honest peer. */
  sendQueue: number;
  /** Requests of one peer that an honest one has not answered. */
  requests: number;
  /** Requests that an honest peer has outstanding to one peer. */
  outstanding: number;
  /** Bytes of pieces in progress beyond the budget of a peer. */
  beyondBudget: number;
}

const EVENTS_KEPT = 60;

/** Collects what happened and what must not have. */
export class Judge {
  readonly version: TestVersion;
  readonly violations: string[] = [];
  readonly maxima: Maxima = { sendQueue: 0, requests: 0, outstanding: 0, beyondBudget: 0 };
  readonly #clock: VirtualClock;
  readonly #events: string[] = [];
  readonly #leaves = new Set<string>();
  readonly #verbose: boolean;

  constructor(version: TestVersion, clock: VirtualClock, verbose: boolean) {
    this.version = version;
    this.#clock = clock;
    this.#verbose = verbose;
    for (const file of version.files) {
      const leaves = leafHashes(file);
      for (let at = 0; at < leaves.length; at += 32) this.#leaves.add(leaves.toString('latin1', at, at + 32));
    }
  }

  /** What happened last, one line each. */
  get events(): readonly string[] {
    return this.#events;
  }

  log(event: string): void {
    const line = `${(this.#clock.now() / 1000).toFixed(3).padStart(9)} s  ${event}`;
    if (this.#verbose) console.log(line);
    this.#events.push(line);
    if (this.#events.length > EVENTS_KEPT) this.#events.shift();
  }

  violation(what: string): void {
    // One bug shows often.
    if (this.violations.length >= 20) return;
    this.violations.push(what);
    this.log(`VIOLATION: ${what}`);
  }

  reach(what: keyof Maxima, amount: number, limit: number, who: () => string): void {
    if (amount > this.maxima[what]) this.maxima[what] = amount;
    if (amount > limit) this.violation(`${who()}: ${what} is ${amount}, more than ${limit}`);
  }

  /** These bytes are those of the version at this place. */
  isRight(fileIndex: number, offset: number, bytes: Uint8Array): boolean {
    return this.version.files[fileIndex]?.subarray(offset, offset + bytes.length).equals(bytes) === true;
  }

  /** A block as it is sent; beyond a file's end there are zeros. Or a run: whole files one after another. */
  isRightBlock(piece: number, begin: number, bytes: Uint8Array): boolean {
    const { info } = this.version;
    if (piece >= info.pieceCount) return false;
    const { fileIndex, offset, length } = pieceAt(info, piece);
    const run = this.runOf(piece, begin, bytes.length);
    if (run.length > 0) {
      const files = run.map((index) => this.version.files[pieceAt(info, index).fileIndex] ?? Buffer.alloc(0));
      if (Buffer.concat(files).equals(bytes)) return true;
    }
    const content = Math.max(0, Math.min(bytes.length, length - begin));
    return (
      this.isRight(fileIndex, offset + begin, bytes.subarray(0, content)) &&
      bytes.subarray(content).every((byte) => byte === 0)
    );
  }

  /** The pieces of a run of whole files (PROTOCOL.md §2); none for a block. */
  runOf(piece: number, begin: number, length: number): number[] {
    const { info } = this.version;
    const run: number[] = [];
    let bytes = 0;
    for (let next = piece; next < info.pieceCount && bytes < length; next++) {
      const { file } = pieceAt(info, next);
      if (file.pieceCount > 1) break;
      bytes += file.length;
      run.push(next);
    }
    return begin === 0 && bytes === length && run.length > 1 ? run : [];
  }

  /** How many of these leaf hashes are of no block of the version. */
  foreignLeaves(leaves: Buffer): number {
    let foreign = 0;
    for (let at = 0; at < leaves.length; at += 32)
      if (!this.#leaves.has(leaves.toString('latin1', at, at + 32))) foreign++;
    return foreign;
  }
}
