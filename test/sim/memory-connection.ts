import type { Connection, ConnectionSink } from '../../src/bittorrent/connection.ts';
import type { Clock } from '../../src/common/clock.ts';
import type { Disposable } from '../../src/common/disposable.ts';
import { PeerwireError } from '../../src/common/errors.ts';

export interface Link {
  /** One-way delay in ms. */
  readonly latency: number;
  /** Bytes per second each way; 0: unlimited. */
  readonly rate: number;
  /** The same for the way back to who dialled, where it differs. */
  readonly back?: number;
  /** Bytes that are on the way or unread at most, as the buffers of a real connection; unlimited if absent. */
  readonly window?: number;
  /** Largest chunk that is delivered, in bytes, however it was written. If absent, 70,000 and at most one write. */
  readonly chunk?: number;
}

/** A long write arrives bit by bit: in so many seconds' worth of the rate, but never fewer bytes. */
const SECONDS_AT_ONCE = 0.02;
const PACKET = 1_448;

/** Both ends of a byte stream in memory, with delay and rate, under the given clock. The first is who dialled. */
export function memoryPair(clock: Clock, link: Link, random: () => number): [MemoryConnection, MemoryConnection] {
  const a = new MemoryConnection('a:1', clock, link, random);
  const b = new MemoryConnection('b:1', clock, { ...link, rate: link.back ?? link.rate }, random);
  a.other = b;
  b.other = a;
  return [a, b];
}

interface Write {
  readonly chunks: readonly Uint8Array[];
  readonly length: number;
  readonly onDone: (() => void) | undefined;
}

export class MemoryConnection implements Connection {
  readonly remote: string;
  other: MemoryConnection | undefined;
  closed = false;
  /** When set, written bytes vanish without the other end noticing: a dead path. */
  stalled = false;
  /** Sees each write as it is made. */
  onWrite: ((chunks: readonly Uint8Array[]) => void) | undefined;
  /** Sees the bytes that leave this end, in order. */
  onLeave: ((bytes: Buffer) => void) | undefined;
  /** Sees each chunk before it is delivered to this end. */
  onDeliver: ((chunk: Buffer) => void) | undefined;
  /** Most bytes that ever waited to leave. */
  mostQueued = 0;
  /** Once, when this end is closed, by whomever. */
  onClosed: ((reason: PeerwireError | undefined) => void) | undefined;
  readonly #clock: Clock;
  readonly #link: Link;
  readonly #random: () => number;
  #sink: ConnectionSink | undefined;
  #inbox: Buffer[] = [];
  /** What arrives while the path is held. */
  #held: Buffer[] | undefined;
  #paused = false;
  readonly #outbox: Write[] = [];
  /** Bytes of the first write that left. */
  #left = 0;
  #leaving: Disposable | undefined;
  #queued = 0;
  /** Bytes that left and were not read by the other end. */
  #unread = 0;

  constructor(remote: string, clock: Clock, link: Link, random: () => number) {
    this.remote = remote;
    this.#clock = clock;
    this.#link = link;
    this.#random = random;
  }

  get writableLength(): number {
    return this.#queued;
  }

  /** Bytes that arrived and were not read. */
  get unread(): number {
    return this.#inbox.reduce((sum, { length }) => sum + length, 0);
  }

  start(sink: ConnectionSink): void {
    this.#sink = sink;
    queueMicrotask(() => this.#deliver());
  }

  write(chunks: readonly Uint8Array[], onDone?: () => void): void {
    if (this.closed) {
      if (onDone) queueMicrotask(onDone);
      return;
    }
    this.onWrite?.(chunks);
    const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
    this.#outbox.push({ chunks, length, onDone });
    this.#queued += length;
    this.mostQueued = Math.max(this.mostQueued, this.#queued);
    this.#transmit();
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
    this.#end(reason);
    const sink = this.#sink;
    queueMicrotask(() => sink?.onClose(reason));
    this.#clock.setTimeout(() => this.other?.closedByOther(), this.#link.latency);
  }

  /** What is sent to this end does not arrive before `release`: loss that the network repairs. */
  hold(): void {
    this.#held ??= [];
  }

  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const bytes of held) this.receive(bytes);
  }

  /** Both ends lose the connection now, somewhere in the middle of a message. */
  cut(): void {
    const error = new PeerwireError('connection', 'The connection was cut.');
    for (const end of [this, this.other]) end?.close(error);
  }

  receive(bytes: Buffer): void {
    if (this.closed) return;
    if (this.#held) {
      this.#held.push(bytes);
      return;
    }
    this.#inbox.push(bytes);
    this.#deliver();
  }

  closedByOther(): void {
    if (this.closed) return;
    this.#end(undefined);
    this.#sink?.onClose(undefined);
  }

  #end(reason: PeerwireError | undefined): void {
    this.closed = true;
    this.#leaving?.dispose();
    const unsent = this.#outbox.splice(0);
    queueMicrotask(() => {
      for (const { onDone } of unsent) onDone?.();
    });
    this.onClosed?.(reason);
  }

  #transmit(): void {
    const write = this.#outbox[0];
    if (!write || this.#leaving || this.closed) return;
    const room = (this.#link.window ?? Number.POSITIVE_INFINITY) - this.#unread;
    if (room <= 0) return;
    const { rate } = this.#link;
    const atOnce = rate > 0 ? Math.max(PACKET, Math.round(rate * SECONDS_AT_ONCE)) : Number.POSITIVE_INFINITY;
    const size = Math.min(write.length - this.#left, room, atOnce);
    this.#unread += size;
    const duration = rate > 0 ? (size / rate) * 1000 : 0;
    this.#leaving = this.#clock.setTimeout(() => this.#leave(write, size), duration);
  }

  /** Only now are the bytes read from their memory: whoever reuses it before `onDone` sends rubbish here, as it would by a socket. */
  #leave(write: Write, size: number): void {
    this.#leaving = undefined;
    const bytes = Buffer.concat(write.chunks).subarray(this.#left, this.#left + size);
    this.onLeave?.(bytes);
    this.#queued -= size;
    this.#left += size;
    this.#clock.setTimeout(() => {
      if (!this.stalled) this.other?.receive(bytes);
    }, this.#link.latency);
    if (this.#left === write.length) {
      this.#left = 0;
      this.#outbox.shift();
      write.onDone?.();
      if (this.#queued === 0 && !this.closed) this.#sink?.onDrain();
    }
    this.#transmit();
  }

  /** The other end read bytes of ours. */
  consumed(bytes: number): void {
    this.#unread -= bytes;
    this.#transmit();
  }

  /** In chunks of random size, so that every split of a message occurs; the memory is wiped afterwards, as a socket's is reused. */
  #deliver(): void {
    const most = this.#link.chunk ?? 70_000;
    while (this.#sink && !this.#paused && !this.closed && this.#inbox.length > 0) {
      const size = 1 + Math.floor(this.#random() * most);
      if (this.#link.chunk !== undefined && this.#inbox[0]!.length < size) this.#inbox = [Buffer.concat(this.#inbox)];
      const waiting = this.#inbox[0]!;
      const chunk = Buffer.from(waiting.subarray(0, size));
      if (waiting.length > size) this.#inbox[0] = waiting.subarray(size);
      else this.#inbox.shift();
      this.onDeliver?.(chunk);
      this.#sink.onData(chunk);
      chunk.fill(0xdd);
      this.other?.consumed(chunk.length);
    }
  }
}
