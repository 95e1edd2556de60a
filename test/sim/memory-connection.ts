import type { Connection, ConnectionSink } from '../../src/bittorrent/connection.ts';
import type { Clock } from '../../src/common/clock.ts';
import type { PeerwireError } from '../../src/common/errors.ts';

export interface Link {
  /** One-way delay in ms. */
  readonly latency: number;
  /** Bytes per second each way; 0: unlimited. */
  readonly rate: number;
}

/** Both ends of a byte stream in memory, with delay and rate, under the given clock. */
export function memoryPair(clock: Clock, link: Link, random: () => number): [MemoryConnection, MemoryConnection] {
  const a = new MemoryConnection('a:1', clock, link, random);
  const b = new MemoryConnection('b:1', clock, link, random);
  a.other = b;
  b.other = a;
  return [a, b];
}

export class MemoryConnection implements Connection {
  readonly remote: string;
  other: MemoryConnection | undefined;
  closed = false;
  /** When set, written bytes vanish without the other end noticing: a stalled path. */
  stalled = false;
  readonly #clock: Clock;
  readonly #link: Link;
  readonly #random: () => number;
  #sink: ConnectionSink | undefined;
  #inbox: Buffer[] = [];
  #paused = false;
  #busyUntil = 0;
  #queued = 0;

  constructor(remote: string, clock: Clock, link: Link, random: () => number) {
    this.remote = remote;
    this.#clock = clock;
    this.#link = link;
    this.#random = random;
  }

  get writableLength(): number {
    return this.#queued;
  }

  start(sink: ConnectionSink): void {
    this.#sink = sink;
    queueMicrotask(() => this.#deliver());
  }

  write(chunks: readonly Uint8Array[], onSent?: () => void): void {
    if (this.closed) return;
    const bytes = Buffer.concat(chunks);
    this.#queued += bytes.length;
    const now = this.#clock.now();
    const duration = this.#link.rate > 0 ? (bytes.length / this.#link.rate) * 1000 : 0;
    this.#busyUntil = Math.max(now, this.#busyUntil) + duration;
    this.#clock.setTimeout(() => {
      this.#queued -= bytes.length;
      onSent?.();
      if (this.#queued === 0 && !this.closed) this.#sink?.onDrain();
    }, this.#busyUntil - now);
    this.#clock.setTimeout(
      () => {
        if (!this.stalled) this.other?.receive(bytes);
      },
      this.#busyUntil - now + this.#link.latency,
    );
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    queueMicrotask(() => this.#deliver());
  }

  close(reason?: PeerwireError): void {
    if (this.closed) return;
    this.closed = true;
    const sink = this.#sink;
    queueMicrotask(() => sink?.onClose(reason));
    this.#clock.setTimeout(() => this.other?.closedByOther(), this.#link.latency);
  }

  receive(bytes: Buffer): void {
    if (this.closed) return;
    this.#inbox.push(bytes);
    this.#deliver();
  }

  closedByOther(): void {
    if (this.closed) return;
    this.closed = true;
    this.#sink?.onClose(undefined);
  }

  /** In chunks of random size, so that every split of a message occurs; the memory is wiped afterwards, as a socket's is reused. */
  #deliver(): void {
    while (this.#sink && !this.#paused && !this.closed) {
      const next = this.#inbox.shift();
      if (!next) return;
      const size = 1 + Math.floor(this.#random() * 70_000);
      const chunk = Buffer.from(next.subarray(0, size));
      if (next.length > size) this.#inbox.unshift(next.subarray(size));
      this.#sink.onData(chunk);
      chunk.fill(0xdd);
    }
  }
}
