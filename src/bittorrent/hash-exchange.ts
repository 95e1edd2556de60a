import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { PeerwireError } from '../common/errors.ts';
import {
  BLOCK_SIZE,
  HASH_SIZE,
  type HashRequest,
  HashTree,
  hashesFor,
  pieceRoot,
  proofLayersFor,
  verifyHashes,
} from './merkle.ts';
import { type FileEntry, type Info, type PieceLayers, pieceAt, pieceHash } from './metainfo.ts';
import type { PeerSession } from './peer-session.ts';
import type { Message } from './wire/messages.ts';

/** BEP 52 asks not to request more hashes than this at once. */
const MOST_HASHES = 512;
/** How long a peer may take to answer, in ms; then another is asked. */
const ANSWER_TIMEOUT = 10_000;
/** Pause before peers that could not answer are asked again, in ms. */
const RETRY_AFTER = 3_000;
/** Leaf requests that we compute for one peer at a time: each reads a piece from disk. */
const LEAF_REQUESTS = 2;

type HashMessage = Message & { type: 'hash-request' | 'hashes' | 'hash-reject' };

/** What hash requests are answered from. */
export interface HashSource {
  readonly info: Info;
  readonly layers: PieceLayers;
  /** Leaf hashes of a piece that we have, computed from its content; undefined when we do not have it. */
  leaves(piece: number): Promise<Buffer | undefined>;
}

interface Pending {
  readonly request: HashRequest;
  readonly resolve: (hashes: Buffer | undefined) => void;
  readonly timer: Disposable;
}

/**
 * Hash requests (BEP 52 messages 21–23) both ways. Answers count only when they match a request of ours and prove
 * themselves against the file's root; nothing else is ever kept.
 */
export class HashExchange {
  readonly #clock: Clock;
  readonly #sessions = new Set<PeerSession>();
  readonly #pending = new Map<PeerSession, Pending[]>();
  readonly #serving = new Map<PeerSession, number>();
  readonly #trees = new Map<string, HashTree>();
  #source: HashSource | undefined;
  #waiting: (() => void)[] = [];

  constructor(clock: Clock, source: HashSource | undefined) {
    this.#clock = clock;
    this.#source = source;
  }

  setSource(source: HashSource): void {
    this.#source = source;
  }

  addSession(session: PeerSession): void {
    this.#sessions.add(session);
    for (const wake of this.#waiting.splice(0)) wake();
  }

  removeSession(session: PeerSession): void {
    this.#sessions.delete(session);
    this.#serving.delete(session);
    for (const pending of this.#pending.get(session) ?? []) this.#settle(pending, undefined);
    this.#pending.delete(session);
  }

  /** Fetches the piece layers of all files that need one. Waits for peers as long as the signal lets it. */
  async fetchLayers(info: Info, signal: AbortSignal): Promise<Map<string, Buffer>> {
    const layers = new Map<string, Buffer>();
    const queue: (() => Promise<void>)[] = [];
    for (const file of info.files) {
      const key = file.root?.toString('hex');
      if (key === undefined || file.pieceCount <= 1 || layers.has(key)) continue;
      const layer = Buffer.alloc(file.pieceCount * HASH_SIZE);
      layers.set(key, layer);
      for (const request of layerRequests(info, file)) {
        queue.push(async () => {
          const hashes = await this.#fetchProven(file, request, signal);
          hashes.copy(
            layer,
            request.index * HASH_SIZE,
            0,
            Math.min(request.length * HASH_SIZE, layer.length - request.index * HASH_SIZE),
          );
        });
      }
    }
    await Promise.all(
      Array.from({ length: 16 }, async () => {
        for (let next = queue.shift(); next; next = queue.shift()) await next();
      }),
    );
    return layers;
  }

  /** Leaf hashes of one piece, proven against its known hash; undefined when no peer could. */
  async fetchLeaves(info: Info, layers: PieceLayers, piece: number): Promise<Buffer | undefined> {
    const { file, length, offset } = pieceAt(info, piece);
    const expected = pieceHash(info, layers, piece);
    if (!file.root || !expected) return undefined;
    const blocks = Math.ceil(length / BLOCK_SIZE);
    const width = file.pieceCount === 1 ? powerOfTwo(blocks) : info.pieceLength / BLOCK_SIZE;
    if (width < 2) return undefined;
    const request = { root: file.root, base: 0, index: offset / BLOCK_SIZE, length: width, proofLayers: 0 };
    for (const session of [...this.#sessions]) {
      const hashes = await this.#ask(session, request);
      if (hashes?.length !== width * HASH_SIZE) continue;
      const leaves = hashes.subarray(0, blocks * HASH_SIZE);
      if (pieceRoot(leaves, info.pieceLength, Math.ceil(file.length / BLOCK_SIZE)).equals(expected)) return leaves;
    }
    return undefined;
  }

  onMessage(session: PeerSession, message: HashMessage): void {
    if (message.type === 'hash-request') {
      void this.#serve(session, message);
      return;
    }
    const list = this.#pending.get(session) ?? [];
    const index = list.findIndex(({ request }) => sameRequest(request, message));
    const pending = list[index];
    // Unsolicited hashes are dropped unread.
    if (!pending) return;
    list.splice(index, 1);
    this.#settle(pending, message.type === 'hashes' ? message.hashes : undefined);
  }

  async #fetchProven(file: FileEntry, request: HashRequest, signal: AbortSignal): Promise<Buffer> {
    const fileBlocks = Math.ceil(file.length / BLOCK_SIZE);
    const tried = new Set<PeerSession>();
    for (;;) {
      if (signal.aborted) throw new PeerwireError('cancelled', 'Fetching the hashes was cancelled.');
      const session = [...this.#sessions].find((candidate) => !tried.has(candidate));
      if (!session) {
        // A peer that had no hashes a moment ago may have them later.
        await this.#anotherSession(signal);
        tried.clear();
        continue;
      }
      tried.add(session);
      const hashes = await this.#ask(session, request);
      if (!hashes) continue;
      if (verifyHashes(request.root, fileBlocks, request, hashes)) return hashes;
      session.close(new PeerwireError('corrupt', 'The peer sent hashes that do not lead to the file’s root.'));
    }
  }

  /** Resolves when a session is added, after a pause, or when the signal says so. */
  #anotherSession(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        timer.dispose();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.#clock.setTimeout(done, RETRY_AFTER);
      this.#waiting.push(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  #ask(session: PeerSession, request: HashRequest): Promise<Buffer | undefined> {
    return new Promise((resolve) => {
      const pending: Pending = {
        request,
        resolve,
        timer: this.#clock.setTimeout(() => {
          const list = this.#pending.get(session) ?? [];
          const index = list.indexOf(pending);
          if (index >= 0) list.splice(index, 1);
          resolve(undefined);
        }, ANSWER_TIMEOUT),
      };
      const list = this.#pending.get(session) ?? [];
      this.#pending.set(session, list);
      list.push(pending);
      session.send({ type: 'hash-request', ...request });
    });
  }

  #settle(pending: Pending, hashes: Buffer | undefined): void {
    pending.timer.dispose();
    pending.resolve(hashes);
  }

  async #serve(session: PeerSession, message: HashMessage): Promise<void> {
    const { root, base, index, length, proofLayers } = message;
    const request = { root, base, index, length, proofLayers };
    let hashes: Buffer | undefined;
    try {
      hashes = await this.#answer(session, request);
    } catch {
      // Content that cannot be read now has no hashes to give; the peer asks another.
      hashes = undefined;
    }
    if (session.wire.closed) return;
    session.send(hashes ? { type: 'hashes', ...request, hashes } : { type: 'hash-reject', ...request });
  }

  async #answer(session: PeerSession, request: HashRequest): Promise<Buffer | undefined> {
    const source = this.#source;
    if (!source) return undefined;
    const { info } = source;
    const blocksPerPiece = info.pieceLength / BLOCK_SIZE;
    if (request.length > Math.max(MOST_HASHES, blocksPerPiece)) return undefined;
    const file = info.files.find((candidate) => candidate.root?.equals(request.root) === true);
    if (!file?.root) return undefined;
    // The leaves of one whole piece need no proof: the asker knows the piece's hash. A file of one piece has no layer above.
    const tree = this.#tree(source, file);
    if (tree && request.base >= Math.log2(blocksPerPiece)) return tree.hashes(request);
    const width = file.pieceCount === 1 ? powerOfTwo(blockCount(file)) : blocksPerPiece;
    const index = Math.floor((request.index * 2 ** request.base) / width);
    if (index >= file.pieceCount) return undefined;
    const serving = this.#serving.get(session) ?? 0;
    if (serving >= LEAF_REQUESTS) return undefined;
    this.#serving.set(session, serving + 1);
    try {
      const leaves = await source.leaves(file.firstPiece + index);
      if (!leaves) return undefined;
      return tree ? tree.hashesInPiece(index, leaves, request) : hashesFor(leaves, 0, blockCount(file), request);
    } finally {
      this.#serving.set(session, (this.#serving.get(session) ?? 1) - 1);
    }
  }

  /** Kept, so that the upper levels of a file are computed once however many requests come. */
  #tree(source: HashSource, file: FileEntry): HashTree | undefined {
    const key = file.root?.toString('hex') ?? '';
    const layer = source.layers.get(key);
    if (!layer) return undefined;
    let tree = this.#trees.get(key);
    if (!tree) {
      tree = new HashTree(layer, Math.log2(source.info.pieceLength / BLOCK_SIZE), blockCount(file));
      this.#trees.set(key, tree);
    }
    return tree;
  }
}

function blockCount(file: FileEntry): number {
  return Math.ceil(file.length / BLOCK_SIZE);
}

function layerRequests(info: Info, file: FileEntry): HashRequest[] {
  if (!file.root) return [];
  const base = Math.log2(info.pieceLength / BLOCK_SIZE);
  const fileBlocks = Math.ceil(file.length / BLOCK_SIZE);
  const length = Math.min(MOST_HASHES, powerOfTwo(file.pieceCount));
  const requests: HashRequest[] = [];
  for (let index = 0; index < file.pieceCount; index += length) {
    requests.push({ root: file.root, base, index, length, proofLayers: proofLayersFor(fileBlocks, base) });
  }
  return requests;
}

function sameRequest(a: HashRequest, b: HashRequest): boolean {
  return (
    a.base === b.base &&
    a.index === b.index &&
    a.length === b.length &&
    a.proofLayers === b.proofLayers &&
    a.root.equals(b.root)
  );
}

function powerOfTwo(count: number): number {
  let power = 1;
  while (power < count) power *= 2;
  return power;
}
