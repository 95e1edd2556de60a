import type { Clock } from '../common/clock.ts';
import type { Disposable } from '../common/disposable.ts';
import { PeerwireError } from '../common/errors.ts';
import {
  BLOCK_SIZE,
  blockCount,
  HASH_SIZE,
  type HashRequest,
  HashTree,
  hashesFor,
  nextPowerOfTwo,
  pieceLevel,
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
/** A peer that did not answer in time is asked after the others for this long, in ms. */
const SILENT_FOR = 60_000;
/** Peers asked at once for the leaves of a piece: the caller holds the piece's memory meanwhile. */
const ASKED_AT_ONCE = 3;
/** Pieces whose leaves we compute at a time, for one peer one: each is read from disk. */
const LEAF_JOBS = 4;
/** Pieces whose leaves are kept, since requests for parts of the same come one after another. */
const KEPT_LEAVES = 8;

type HashMessage = Message & { type: 'hash-request' | 'hashes' | 'hash-reject' };

/** What hash requests are answered from. */
export interface HashSource {
  readonly info: Info;
  readonly layers: PieceLayers;
  /** Leaf hashes of a piece that we have, computed from its content; undefined when we do not have it. */
  leaves(piece: number): Promise<Buffer | undefined>;
  /** Room for that on behalf of a peer, until disposed: undefined when its device has as much under way as it may. */
  beginHashing?(session: PeerSession): Disposable | undefined;
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
  readonly #silentUntil = new Map<PeerSession, number>();
  /** Peers for which leaves are being computed. */
  readonly #serving = new Set<PeerSession>();
  readonly #leaves = new Map<number, Buffer>();
  readonly #trees = new Map<string, HashTree>();
  /** By root in hex; one of several with the same content. Made when somebody asks: of many files that takes long. */
  #files: ReadonlyMap<string, FileEntry> | undefined;
  readonly #waiting = new Set<() => void>();
  #source: HashSource | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  setSource(source: HashSource): void {
    this.#source = source;
  }

  addSession(session: PeerSession): void {
    this.#sessions.add(session);
    for (const wake of [...this.#waiting]) wake();
  }

  removeSession(session: PeerSession): void {
    this.#sessions.delete(session);
    this.#silentUntil.delete(session);
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
    const blocks = blockCount(length);
    const width = file.pieceCount === 1 ? nextPowerOfTwo(blocks) : info.pieceLength / BLOCK_SIZE;
    if (width < 2) return undefined;
    const request = { root: file.root, base: 0, index: offset / BLOCK_SIZE, length: width, proofLayers: 0 };
    const candidates = this.#candidates().filter((session) => session.has(piece));
    return await new Promise((resolve) => {
      const askOneAfterAnother = async (): Promise<void> => {
        for (let session = candidates.shift(); session; session = candidates.shift()) {
          const hashes = await this.#ask(session, request);
          if (hashes?.length !== width * HASH_SIZE) continue;
          const leaves = hashes.subarray(0, blocks * HASH_SIZE);
          if (!pieceRoot(leaves, info.pieceLength, blockCount(file.length)).equals(expected)) continue;
          candidates.length = 0;
          resolve(leaves);
        }
      };
      void Promise.all(Array.from({ length: ASKED_AT_ONCE }, askOneAfterAnother)).then(() => resolve(undefined));
    });
  }

  /** Those that answer first, those that lately did not last. */
  #candidates(): PeerSession[] {
    const now = this.#clock.now();
    const isSilent = (session: PeerSession): number => ((this.#silentUntil.get(session) ?? 0) > now ? 1 : 0);
    return [...this.#sessions].sort((a, b) => isSilent(a) - isSilent(b));
  }

  onMessage(session: PeerSession, message: HashMessage): void {
    if (message.type === 'hash-request') {
      this.#serve(session, message);
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
    const fileBlocks = blockCount(file.length);
    const tried = new Set<PeerSession>();
    for (;;) {
      if (signal.aborted) throw new PeerwireError('cancelled', 'Fetching the hashes was cancelled.');
      const session = this.#candidates().find((candidate) => !tried.has(candidate));
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
        this.#waiting.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.#clock.setTimeout(done, RETRY_AFTER);
      this.#waiting.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }

  #ask(session: PeerSession, request: HashRequest): Promise<Buffer | undefined> {
    // It may have gone while others were asked.
    if (!this.#sessions.has(session)) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const pending: Pending = {
        request,
        resolve,
        timer: this.#clock.setTimeout(() => {
          const list = this.#pending.get(session) ?? [];
          const index = list.indexOf(pending);
          if (index >= 0) list.splice(index, 1);
          this.#silentUntil.set(session, this.#clock.now() + SILENT_FOR);
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

  #serve(session: PeerSession, message: HashMessage): void {
    const { root, base, index, length, proofLayers } = message;
    const request = { root, base, index, length, proofLayers };
    const reply = (hashes: Buffer | undefined): void => {
      if (session.wire.closed) return;
      session.send(hashes ? { type: 'hashes', ...request, hashes } : { type: 'hash-reject', ...request });
    };
    const answer = session.wire.congested ? undefined : this.#answer(session, request);
    // At once where possible, so that the wire sees what it queues. Content that cannot be read now has no hashes to give.
    if (answer instanceof Promise) void answer.then(reply, () => reply(undefined));
    else reply(answer);
  }

  #answer(session: PeerSession, request: HashRequest): Buffer | undefined | Promise<Buffer | undefined> {
    const source = this.#source;
    if (!source) return undefined;
    this.#files ??= filesByRoot(source.info);
    const file = this.#files.get(request.root.toString('hex'));
    if (!file) return undefined;
    const blocksPerPiece = source.info.pieceLength / BLOCK_SIZE;
    if (request.length > Math.max(MOST_HASHES, blocksPerPiece)) return undefined;
    // The leaves of one whole piece need no proof: the asker knows the piece's hash. A file of one piece has no layer above.
    const tree = this.#tree(source, file);
    if (tree && request.base >= Math.log2(blocksPerPiece)) return tree.hashes(request);
    const width = file.pieceCount === 1 ? nextPowerOfTwo(blockCount(file.length)) : blocksPerPiece;
    const index = Math.floor((request.index * 2 ** request.base) / width);
    if (!(index < file.pieceCount)) return undefined;
    const answer = (leaves: Buffer): Buffer | undefined =>
      tree ? tree.hashesInPiece(index, leaves, request) : hashesFor(leaves, 0, blockCount(file.length), request);
    const piece = file.firstPiece + index;
    const kept = this.#leaves.get(piece);
    if (kept) return answer(kept);
    if (this.#serving.size >= LEAF_JOBS || this.#serving.has(session)) return undefined;
    const room = source.beginHashing?.(session);
    if (source.beginHashing && !room) return undefined;
    return this.#computeLeaves(source, session, piece)
      .finally(() => room?.dispose())
      .then((leaves) => leaves && answer(leaves));
  }

  async #computeLeaves(source: HashSource, session: PeerSession, piece: number): Promise<Buffer | undefined> {
    this.#serving.add(session);
    try {
      const leaves = await source.leaves(piece);
      if (!leaves) return undefined;
      this.#leaves.set(piece, leaves);
      for (const oldest of this.#leaves.keys()) {
        if (this.#leaves.size <= KEPT_LEAVES) break;
        this.#leaves.delete(oldest);
      }
      return leaves;
    } finally {
      this.#serving.delete(session);
    }
  }

  /** Kept, so that the upper levels of a file are computed once however many requests come. */
  #tree(source: HashSource, file: FileEntry): HashTree | undefined {
    const key = file.root?.toString('hex') ?? '';
    const layer = source.layers.get(key);
    if (!layer) return undefined;
    let tree = this.#trees.get(key);
    if (!tree) {
      tree = new HashTree(layer, pieceLevel(source.info.pieceLength), blockCount(file.length));
      this.#trees.set(key, tree);
    }
    return tree;
  }
}

function filesByRoot({ files }: Info): Map<string, FileEntry> {
  const byRoot = new Map<string, FileEntry>();
  for (const file of files) if (file.root) byRoot.set(file.root.toString('hex'), file);
  return byRoot;
}

function layerRequests(info: Info, file: FileEntry): HashRequest[] {
  if (!file.root) return [];
  const base = pieceLevel(info.pieceLength);
  const fileBlocks = blockCount(file.length);
  const length = Math.min(MOST_HASHES, nextPowerOfTwo(file.pieceCount));
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
