import type { ActivePiece } from './active-piece.ts';

/**
 * The pieces that are being fetched, found in constant time by what a peer can do for them: continue its own, take one
 * without an owner, help another's. Whoever changes a piece's free blocks calls `update`.
 */
export class ActivePieces<Peer> implements Iterable<ActivePiece<Peer>> {
  readonly #all = new Map<number, ActivePiece<Peer>>();
  readonly #owned = new Map<Peer, Set<ActivePiece<Peer>>>();
  /** Those with blocks that nobody was asked for: all, and by owner. */
  readonly #unasked = new Set<ActivePiece<Peer>>();
  readonly #unaskedOf = new Map<Peer | undefined, Set<ActivePiece<Peer>>>();

  get size(): number {
    return this.#all.size;
  }

  /** How many have blocks that nobody was asked for. */
  get partial(): number {
    return this.#unasked.size;
  }

  get(index: number): ActivePiece<Peer> | undefined {
    return this.#all.get(index);
  }

  has(index: number): boolean {
    return this.#all.has(index);
  }

  /** May be changed while it is walked through. */
  [Symbol.iterator](): Iterator<ActivePiece<Peer>> {
    return this.#all.values();
  }

  add(piece: ActivePiece<Peer>): void {
    this.#all.set(piece.index, piece);
    if (piece.owner !== undefined) setOf(this.#owned, piece.owner).add(piece);
    this.update(piece);
  }

  delete(piece: ActivePiece<Peer>): void {
    if (this.#all.get(piece.index) !== piece) return;
    this.setOwner(piece, undefined);
    this.#all.delete(piece.index);
    this.#unasked.delete(piece);
    remove(this.#unaskedOf, undefined, piece);
  }

  clear(): void {
    this.#all.clear();
    this.#owned.clear();
    this.#unasked.clear();
    this.#unaskedOf.clear();
  }

  update(piece: ActivePiece<Peer>): void {
    if (this.#all.get(piece.index) !== piece) return;
    if (piece.free > 0) {
      this.#unasked.add(piece);
      setOf(this.#unaskedOf, piece.owner).add(piece);
    } else if (this.#unasked.delete(piece)) {
      remove(this.#unaskedOf, piece.owner, piece);
    }
  }

  setOwner(piece: ActivePiece<Peer>, owner: Peer | undefined): void {
    if (piece.owner === owner) return;
    if (piece.owner !== undefined) remove(this.#owned, piece.owner, piece);
    remove(this.#unaskedOf, piece.owner, piece);
    piece.owner = owner;
    if (this.#all.get(piece.index) !== piece) return;
    if (owner !== undefined) setOf(this.#owned, owner).add(piece);
    if (piece.free > 0) setOf(this.#unaskedOf, owner).add(piece);
  }

  ownedBy(peer: Peer): ActivePiece<Peer>[] {
    return [...(this.#owned.get(peer) ?? [])];
  }

  /** One of its own, or one that has no owner, with free blocks. */
  continuedBy(peer: Peer, mayAsk: (piece: number) => boolean): ActivePiece<Peer> | undefined {
    return find(this.#unaskedOf.get(peer), mayAsk) ?? find(this.#unaskedOf.get(undefined), mayAsk);
  }

  /** Any with free blocks. */
  helpedBy(mayAsk: (piece: number) => boolean): ActivePiece<Peer> | undefined {
    return find(this.#unasked, mayAsk);
  }
}

function find<Peer>(
  pieces: Iterable<ActivePiece<Peer>> | undefined,
  mayAsk: (piece: number) => boolean,
): ActivePiece<Peer> | undefined {
  for (const piece of pieces ?? []) if (mayAsk(piece.index)) return piece;
  return undefined;
}

function setOf<Key, Value>(sets: Map<Key, Set<Value>>, key: Key): Set<Value> {
  let set = sets.get(key);
  if (!set) {
    set = new Set();
    sets.set(key, set);
  }
  return set;
}

function remove<Key, Value>(sets: Map<Key, Set<Value>>, key: Key, value: Value): void {
  const set = sets.get(key);
  if (set?.delete(value) === true && set.size === 0) sets.delete(key);
}
