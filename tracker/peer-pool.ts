import { randomInt } from 'node:crypto';

/** No such slot. */
export const NONE = -1;

const ENTRY = 18; // Address (4 or 16 bytes), then port, in network order: exactly what compact replies carry.
const PEER_ID = 20;
const IPV6 = 1;
const SEED = 2;
const MAX_SLOTS = 2 ** 30;

/**
 * Every peer of every swarm, as numbered slots of flat arrays: about 80 bytes a peer, nothing for the garbage collector
 * to walk. A hash index finds the slot of (swarm, address, port); a linked list keeps slots in order of last announce.
 *
 * Invariant: a slot is either in the free list, or in the index and in the age list under its own key.
 */
export class PeerPool {
  #capacity = 0;
  #count = 0;
  #free = NONE;
  #oldest = NONE;
  #youngest = NONE;

  #entries = Buffer.alloc(0);
  #peerIds = Buffer.alloc(0);
  #flags = new Uint8Array(0);
  #swarms = new Int32Array(0);
  /** Where the slot stands in its swarm's list: owned by the swarm store. */
  #positions = new Int32Array(0);
  #seen = new Float64Array(0);
  #older = new Int32Array(0);
  /** Towards the young end; in free slots, the next free one. */
  #younger = new Int32Array(0);
  #hashes = new Int32Array(0);

  /** Open addressing with linear probing; 0 is empty, else slot + 1. */
  #index = new Int32Array(16);
  /** Unknown to strangers, so that they cannot choose addresses which collide. */
  readonly #seed = randomInt(2 ** 32) | 0;

  get count(): number {
    return this.#count;
  }

  find(swarm: number, address: Uint8Array, port: number): number {
    const hash = this.#hash(swarm, address, port);
    const mask = this.#index.length - 1;
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const slot = (this.#index[at] ?? 0) - 1;
      if (slot < 0) return NONE;
      if (this.#hashes[slot] === hash && this.#swarms[slot] === swarm && this.#isAt(slot, address, port)) return slot;
    }
  }

  /** Adds a peer that `find` does not know, as the youngest. */
  add(swarm: number, address: Uint8Array, port: number, peerId: Uint8Array, now: number): number {
    if (this.#free === NONE) this.#grow();
    if ((this.#count + 1) * 2 > this.#index.length) this.#rehash(this.#index.length * 2);
    const slot = this.#free;
    this.#free = this.#younger[slot] ?? NONE;
    this.#count++;

    this.#entries.set(address, slot * ENTRY);
    this.#entries.writeUInt16BE(port, slot * ENTRY + address.length);
    this.#flags[slot] = address.length === 16 ? IPV6 : 0;
    this.#peerIds.set(peerId, slot * PEER_ID);
    this.#swarms[slot] = swarm;
    this.#hashes[slot] = this.#hash(swarm, address, port);
    this.#insert(slot);
    this.#seen[slot] = now;
    this.#append(slot);
    return slot;
  }

  /** Makes the peer the youngest. */
  touch(slot: number, peerId: Uint8Array, now: number): void {
    this.#peerIds.set(peerId, slot * PEER_ID);
    this.#seen[slot] = now;
    if (slot === this.#youngest) return;
    this.#unlink(slot);
    this.#append(slot);
  }

  remove(slot: number): void {
    this.#erase(slot);
    this.#unlink(slot);
    this.#younger[slot] = this.#free;
    this.#free = slot;
    this.#count--;
  }

  /** The peer that announced longest ago, or `NONE`. */
  get oldest(): number {
    return this.#oldest;
  }

  /** When the peer last announced, by the clock of `add` and `touch`. */
  seen(slot: number): number {
    return this.#seen[slot] ?? 0;
  }

  swarm(slot: number): number {
    return this.#swarms[slot] ?? NONE;
  }

  position(slot: number): number {
    return this.#positions[slot] ?? NONE;
  }

  setPosition(slot: number, position: number): void {
    this.#positions[slot] = position;
  }

  isIpv6(slot: number): boolean {
    return ((this.#flags[slot] ?? 0) & IPV6) !== 0;
  }

  isSeed(slot: number): boolean {
    return ((this.#flags[slot] ?? 0) & SEED) !== 0;
  }

  setSeed(slot: number, seed: boolean): void {
    this.#flags[slot] = ((this.#flags[slot] ?? 0) & IPV6) | (seed ? SEED : 0);
  }

  /** Writes the BEP 23 (6 bytes) or BEP 7 (18 bytes) form of the peer and returns where it ends. */
  copyEntry(slot: number, target: Uint8Array, at: number): number {
    const from = slot * ENTRY;
    const size = this.isIpv6(slot) ? 18 : 6;
    // Byte by byte: at these sizes a loop is several times faster than a call to copy.
    for (let i = 0; i < size; i++) target[at + i] = this.#entries[from + i] ?? 0;
    return at + size;
  }

  /** A view of the address, valid until the next change. */
  address(slot: number): Uint8Array {
    const from = slot * ENTRY;
    return this.#entries.subarray(from, from + (this.isIpv6(slot) ? 16 : 4));
  }

  port(slot: number): number {
    return this.#entries.readUInt16BE(slot * ENTRY + (this.isIpv6(slot) ? 16 : 4));
  }

  /** A view of the peer id, valid until the next change. */
  peerId(slot: number): Uint8Array {
    return this.#peerIds.subarray(slot * PEER_ID, (slot + 1) * PEER_ID);
  }

  #isAt(slot: number, address: Uint8Array, port: number): boolean {
    const size = address.length;
    if ((this.isIpv6(slot) ? 16 : 4) !== size) return false;
    const from = slot * ENTRY;
    for (let i = 0; i < size; i++) if (this.#entries[from + i] !== address[i]) return false;
    return this.#entries[from + size] === port >> 8 && this.#entries[from + size + 1] === (port & 255);
  }

  /** MurmurHash3 (32 bit) over the words of the key. */
  #hash(swarm: number, address: Uint8Array, port: number): number {
    let hash = mix(mix(this.#seed, swarm), port);
    for (let i = 0; i < address.length; i += 4) hash = mix(hash, wordAt(address, i));
    hash ^= hash >>> 16;
    hash = Math.imul(hash, 0x85ebca6b);
    hash ^= hash >>> 13;
    hash = Math.imul(hash, 0xc2b2ae35);
    return hash ^ (hash >>> 16);
  }

  #insert(slot: number): void {
    const mask = this.#index.length - 1;
    let at = (this.#hashes[slot] ?? 0) & mask;
    while (this.#index[at] !== 0) at = (at + 1) & mask;
    this.#index[at] = slot + 1;
  }

  /** Takes the slot out of the index and closes the gap, so that probing needs no tombstones. */
  #erase(slot: number): void {
    const mask = this.#index.length - 1;
    let gap = (this.#hashes[slot] ?? 0) & mask;
    while (this.#index[gap] !== slot + 1) gap = (gap + 1) & mask;
    for (let at = (gap + 1) & mask; this.#index[at] !== 0; at = (at + 1) & mask) {
      const home = (this.#hashes[(this.#index[at] ?? 0) - 1] ?? 0) & mask;
      // The entry may move into the gap unless its home lies behind the gap.
      if (((at - home) & mask) < ((at - gap) & mask)) continue;
      this.#index[gap] = this.#index[at] ?? 0;
      gap = at;
    }
    this.#index[gap] = 0;
  }

  #rehash(size: number): void {
    this.#index = new Int32Array(size);
    for (let slot = this.#oldest; slot !== NONE; slot = this.#younger[slot] ?? NONE) this.#insert(slot);
  }

  #append(slot: number): void {
    this.#older[slot] = this.#youngest;
    this.#younger[slot] = NONE;
    if (this.#youngest === NONE) this.#oldest = slot;
    else this.#younger[this.#youngest] = slot;
    this.#youngest = slot;
  }

  #unlink(slot: number): void {
    const older = this.#older[slot] ?? NONE;
    const younger = this.#younger[slot] ?? NONE;
    if (older === NONE) this.#oldest = younger;
    else this.#younger[older] = younger;
    if (younger === NONE) this.#youngest = older;
    else this.#older[younger] = older;
  }

  #grow(): void {
    const from = this.#capacity;
    if (from >= MAX_SLOTS) throw new RangeError('The pool of peers is full.');
    const to = from === 0 ? 64 : from * 2;
    this.#entries = Buffer.from(grown(this.#entries, to * ENTRY).buffer);
    this.#peerIds = Buffer.from(grown(this.#peerIds, to * PEER_ID).buffer);
    this.#flags = grown(this.#flags, to);
    this.#swarms = grownWords(this.#swarms, to);
    this.#positions = grownWords(this.#positions, to);
    this.#older = grownWords(this.#older, to);
    this.#younger = grownWords(this.#younger, to);
    this.#hashes = grownWords(this.#hashes, to);
    const seen = new Float64Array(to);
    seen.set(this.#seen);
    this.#seen = seen;
    for (let slot = from; slot < to; slot++) this.#younger[slot] = slot + 1 < to ? slot + 1 : NONE;
    this.#free = from;
    this.#capacity = to;
  }
}

function mix(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51);
  k = (k << 15) | (k >>> 17);
  const h = hash ^ Math.imul(k, 0x1b873593);
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 24) | ((bytes[at + 1] ?? 0) << 16) | ((bytes[at + 2] ?? 0) << 8) | (bytes[at + 3] ?? 0);
}

function grown(old: Uint8Array, length: number): Uint8Array<ArrayBuffer> {
  const array = new Uint8Array(length);
  array.set(old);
  return array;
}

function grownWords(old: Int32Array, length: number): Int32Array<ArrayBuffer> {
  const array = new Int32Array(length);
  array.set(old);
  return array;
}
