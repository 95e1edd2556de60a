import type { Clock } from '../common/clock.ts';
import { type Disposable, DisposableList } from '../common/disposable.ts';
import { PeerwireError, toPeerwireError } from '../common/errors.ts';
import { Emitter, type Event } from '../common/event.ts';
import type { InfoHash } from '../common/ids.ts';
import type { Logger } from '../common/log.ts';
import { Announcer, encodeHaves } from './announcer.ts';
import type { TransferBandwidth } from './bandwidth-manager.ts';
import type { Bitfield } from './bitfield.ts';
import { Choker } from './choker.ts';
import type { Connection } from './connection.ts';
import { Downloader } from './downloader.ts';
import { HashExchange } from './hash-exchange.ts';
import type { IncomingWire } from './incoming-wire.ts';
import { MetadataExchange } from './metadata-exchange.ts';
import { type Info, type PieceLayers, pieceAt } from './metainfo.ts';
import { PeerSession, type SessionEvents } from './peer-session.ts';
import type { BufferUser, PieceBuffers } from './piece-buffers.ts';
import type { Random } from './piece-picker.ts';
import { type BlockHasher, HASH_HERE } from './piece-verifier.ts';
import type { RateLimiter } from './rate-limiter.ts';
import { RetiringSessions } from './retiring-sessions.ts';
import { SessionWatch } from './session-watch.ts';
import { SharedSources } from './shared-sources.ts';
import { type SourceAccount, SourceAccounts } from './source-accounts.ts';
import type { Storage } from './storage.ts';
import { UploadScheduler } from './upload-scheduler.ts';
import { Uploader } from './uploader.ts';

const TICK = 1_000;

export interface SwarmOptions {
  readonly infoHash: InfoHash;
  readonly peerId: Uint8Array;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly hasher: BlockHasher;
  readonly buffers: PieceBuffers;
  readonly upload: RateLimiter;
  /** Shares the uplink among all swarms of this peer; the swarm has one of its own if absent. */
  readonly uploads?: UploadScheduler;
  /** Decides for all swarms of this peer whom to serve; the swarm has one of its own if absent. */
  readonly choker?: Choker;
  readonly download: TransferBandwidth;
  /** What other swarms of this peer fetch from whom, so that priorities hold; the swarm is alone if absent. */
  readonly sources?: SharedSources;
  /** Who answers for a source; a ban holds for all sources of the same. The source itself if absent. */
  readonly accountable?: (source: string) => string;
  /** False when the peers are no members of our network, but anybody's clients: those are served tit for tat. */
  readonly members?: boolean;
  /** This peer answers nothing, or takes nothing of what is sent to it: somebody may ask it in another way whether it lives. */
  readonly onQuiet?: (source: string) => void;
}

/** What a swarm serves and where it puts what it gets. */
export interface SwarmContent {
  readonly info: Info;
  readonly layers: PieceLayers;
  /** Verified pieces; the swarm adds to it. */
  readonly have: Bitfield;
  /** May be exchanged between calls. The swarm closes it when it is disposed. */
  readonly storage: () => Storage;
}

/**
 * All peers connected for one infohash, and what we exchange with them. It begins without metadata (BEP 9 fetches it) or
 * with content; it serves while it downloads and goes on serving when complete. Whom to connect, and where files lie,
 * are its owner's business.
 */
export class Swarm implements Disposable {
  readonly #options: SwarmOptions;
  readonly #sessions = new Set<PeerSession>();
  readonly #retiring: RetiringSessions;
  readonly #accounts = new SourceAccounts();
  readonly #banned = new Set<string>();
  readonly #disposables = new DisposableList();
  readonly #metadata: MetadataExchange;
  readonly #hashes: HashExchange;
  readonly #watch = new SessionWatch();
  readonly #buffers: BufferUser;
  readonly #uploads: UploadScheduler;
  readonly #choker: Choker;
  /** Sessions that the choker knows. */
  readonly #chokeable = new Map<PeerSession, Disposable>();
  #content: SwarmContent | undefined;
  #info: Info | undefined;
  #downloader: Downloader | undefined;
  #halted = false;
  readonly #announcer: Announcer;
  #uploader: Uploader | undefined;

  readonly #onInfo = new Emitter<Info>();
  readonly #onPiece = new Emitter<number>();
  readonly #onComplete = new Emitter<void>();
  readonly #onProblem = new Emitter<PeerwireError>();
  readonly #onUnreadable = new Emitter<PeerwireError>();
  readonly #onSessions = new Emitter<void>();
  readonly #onCorrupt = new Emitter<string>();
  readonly #onDisposed = new Emitter<void>();
  /** The metadata arrived and matches the infohash. */
  readonly onInfo: Event<Info> = this.#onInfo.event;
  /** A piece is verified and on disk. */
  readonly onPiece: Event<number> = this.#onPiece.event;
  /** Every wanted piece is there. */
  readonly onComplete: Event<void> = this.#onComplete.event;
  /** Content cannot be written (`disk-full`…): downloading is paused until `resume`. Or the metadata is unusable. */
  readonly onProblem: Event<PeerwireError> = this.#onProblem.event;
  /** Content could not be read for an upload (`stale`…); downloading goes on. */
  readonly onUnreadable: Event<PeerwireError> = this.#onUnreadable.event;
  readonly onSessions: Event<void> = this.#onSessions.event;
  /** A source sent provably wrong content and is banned from this swarm. */
  readonly onCorrupt: Event<string> = this.#onCorrupt.event;
  /** Once, at the end of `dispose`. */
  readonly onDisposed: Event<void> = this.#onDisposed.event;

  constructor(options: SwarmOptions, content?: SwarmContent) {
    this.#options = options;
    this.#metadata = new MetadataExchange(options.infoHash, options.clock, (info) => {
      if (info instanceof PeerwireError) {
        this.#onProblem.fire(info);
        return;
      }
      this.#info = info;
      for (const session of [...this.#sessions]) this.#learnPieceCount(session, info);
      this.#onInfo.fire(info);
    });
    this.#hashes = new HashExchange(options.clock);
    this.#uploads = options.uploads ?? this.#disposables.add(new UploadScheduler(options.clock));
    const { clock, random, upload } = options;
    this.#choker = options.choker ?? this.#disposables.add(new Choker({ clock, random, rate: () => upload.rate }));
    if (content) this.provide(content);
    this.#disposables.add(this.#metadata);
    this.#disposables.add(options.clock.setInterval(() => this.#tick(), TICK));
    this.#retiring = new RetiringSessions(clock);
    this.#announcer = this.#disposables.add(new Announcer(clock, this.#sessions));
    this.#buffers = this.#disposables.add(options.buffers.user(() => options.download.priority));
    this.#disposables.add(this.#buffers.onFree(() => this.#downloader?.onBufferFree()));
  }

  get infoHash(): InfoHash {
    return this.#options.infoHash;
  }

  get info(): Info | undefined {
    return this.#info;
  }

  /** What it serves and where it puts what it gets, once `provide` was called. */
  get content(): SwarmContent | undefined {
    return this.#content;
  }

  get hasContent(): boolean {
    return this.#content !== undefined;
  }

  get connectedSources(): ReadonlySet<string> {
    return new Set([...this.#sessions].map((session) => session.source));
  }

  /** Payload bytes that crossed the network into this swarm, duplicates included. */
  get fetched(): number {
    return this.#downloader?.fetched ?? 0;
  }

  isBanned(source: string): boolean {
    return this.#banned.has(this.#accountable(source));
  }

  /**
   * Adds a connection that we dialled. `replaces`: one to the same peer by which nothing more is asked once this one is ready, and
   * that ends when what was asked for has come.
   */
  initiate(connection: Connection, source: string, replaces?: Connection): void {
    const infoHash = Buffer.from(this.infoHash, 'hex').subarray(0, 20);
    this.#add({ connection, infoHash }, connection, source, replaces);
  }

  /** Adds a connection whose handshake named this swarm. */
  accept(incoming: IncomingWire, source: string, replaces?: Connection): void {
    this.#add(incoming, incoming.connection, source, replaces);
  }

  /** Fetches the piece layers of known metadata from the peers of this swarm. */
  fetchLayers(signal: AbortSignal): Promise<Map<string, Buffer>> {
    if (!this.#info) return Promise.reject(new PeerwireError('internal', 'Metadata comes before piece layers.'));
    return this.#hashes.fetchLayers(this.#info, signal);
  }

  /** Gives the swarm its content: from now on it serves, and `download` may be called. Once. */
  provide(content: SwarmContent): void {
    if (this.#content) throw new PeerwireError('internal', 'The swarm has its content already.');
    this.#content = content;
    this.#info = content.info;
    this.#metadata.setInfo(content.info);
    const { clock, upload } = this.#options;
    const onProblem = (error: PeerwireError): void => this.#onUnreadable.fire(error);
    this.#uploader = new Uploader({
      ...content,
      clock,
      limiter: upload,
      scheduler: this.#uploads,
      members: this.#options.members !== false,
      deviceOf: (session) => this.#accountable(session.source),
      sessions: () => this.#sessions,
      onProblem,
    });
    this.#hashes.setSource({
      ...content,
      leaves: (piece) => this.#leaves(content, piece),
      beginHashing: (session) => this.#uploads.beginHashing(this.#accountable(session.source)),
    });
    let haves: Buffer | undefined;
    for (const session of [...this.#sessions]) {
      this.#learnPieceCount(session, content.info);
      if (!session.ready) continue;
      if (content.have.count > 0) {
        haves ??= encodeHaves(content.have);
        session.sendEncoded(haves);
      }
      this.#makeChokeable(session);
    }
  }

  /** Begins, or extends, the download of these pieces. */
  download(pieces: Iterable<number>): void {
    this.#downloading().want(pieces);
  }

  /**
   * From now on these pieces come before all others, in this order, until they are had or the result is disposed. Pieces
   * that `download` did not name are wanted until then; those that were begun are still finished.
   */
  prioritize(pieces: readonly number[]): Disposable {
    return this.#downloading().prioritize(pieces);
  }

  resume(): void {
    this.#downloader?.setPaused(false);
  }

  /** What was exchanged with each source so far. */
  accounts(): SourceAccount[] {
    return this.#accounts.list(this.#sessions, this.#options.clock.now());
  }

  /** Closes the sessions of a source, for instance because it lost access; only those silent for `silence` ms. */
  disconnect(source: string, reason: PeerwireError, silence = 0): void {
    const until = this.#options.clock.now() - silence;
    for (const session of [...this.#sessions])
      if (session.source === source && session.lastReceived <= until) session.close(reason);
  }

  /** Closes the sessions that only take from us. */
  disconnectUploads(): void {
    for (const session of [...this.#sessions]) {
      if (session.peerInterested && !session.amInterested)
        session.close(new PeerwireError('closed', 'Nothing is uploaded here now.'));
    }
  }

  /**
   * Ends all traffic at once and for good. Resolves when the pieces that had arrived whole are verified, written and
   * reported; what had arrived in part is forgotten. To be followed by `dispose`.
   */
  async halt(): Promise<void> {
    this.#halted = true;
    const kept = this.#downloader?.halt();
    for (const session of [...this.#sessions]) session.close();
    await kept;
  }

  dispose(): void {
    if (this.#disposables.disposed) return;
    this.#disposables.dispose();
    this.#downloader?.stop();
    this.#uploader?.dispose();
    for (const session of [...this.#sessions]) session.close();
    // Storage that fails to close has nothing left that could be lost: every piece was written before it counted.
    void this.#content
      ?.storage()
      .close()
      .catch(() => undefined);
    this.#onDisposed.fire();
  }

  #downloading(): Downloader {
    if (this.#downloader) return this.#downloader;
    const content = this.#content;
    if (!content) throw new PeerwireError('internal', 'A swarm without content cannot download.');
    const { clock, random, logger, hasher, sources = new SharedSources() } = this.#options;
    this.#downloader = new Downloader({
      ...content,
      clock,
      random,
      logger,
      hasher,
      accounts: this.#accounts,
      buffers: this.#buffers,
      sources: sources.user(
        () => this.#buffers.rank,
        (session) => this.#accountable(session.source),
      ),
      onPiece: (piece) => this.#gotPiece(piece),
      onCorrupt: (session, piece) => this.#corrupt(session, piece),
      onProblem: (error) => this.#problem(error),
      leafHashes: (piece) => this.#hashes.fetchLeaves(content.info, content.layers, piece),
    });
    for (const session of this.#sessions) if (session.pieces) this.#downloader.addSession(session);
    return this.#downloader;
  }

  #add(
    origin: { connection: Connection; infoHash: Uint8Array } | IncomingWire,
    connection: Connection,
    source: string,
    replaces: Connection | undefined,
  ): void {
    if (this.#disposables.disposed || this.#halted || this.isBanned(source)) {
      connection.close(new PeerwireError('closed', 'This swarm does not accept the connection.'));
      return;
    }
    const { peerId, clock, download } = this.#options;
    const metadataSize = this.#metadata.size;
    const session = new PeerSession(
      origin,
      { source, peerId, clock, download, ...(metadataSize === undefined ? {} : { metadataSize }) },
      this.#events(),
    );
    this.#sessions.add(session);
    if (replaces) this.#retiring.replace(replaces, session);
    this.#onSessions.fire();
  }

  #events(): SessionEvents {
    return {
      onReady: (session) => {
        session.sendPieces(this.#content?.have);
        this.#hashes.addSession(session);
        if (this.#info) session.learnPieceCount(this.#info.pieceCount);
        this.#makeChokeable(session);
        const replaced = this.#retiring.onReady(session, this.#sessions);
        if (replaced) this.#downloader?.retire(replaced);
      },
      onExtendedHandshake: (session) => this.#metadata.addSession(session),
      onPieces: (session) => this.#downloader?.addSession(session),
      onHave: (session, piece) => {
        this.#downloader?.onHave(session, piece);
        this.#uploader?.onHave(session, piece);
      },
      onChoke: (session) => this.#downloader?.onChoke(session),
      onUnchoke: (session) => this.#downloader?.onUnchoke(session),
      onInterest: () => this.#choker.update(),
      onRequest: (session, request) => {
        if (this.#uploader) this.#uploader.onRequest(session, request);
        else session.reject(request);
      },
      onCancel: (session, request) => this.#uploader?.onCancel(session, request),
      onReject: (session, request) => this.#downloader?.onReject(session, request.piece, request.begin, request.length),
      onSuggest: (session, piece) => this.#downloader?.onSuggest(session, piece),
      onHashMessage: (session, message) => this.#hashes.onMessage(session, message),
      onMetadataMessage: (session, payload) => this.#metadata.onMessage(session, payload),
      onBlockStart: (session, piece, begin, length) => this.#downloader?.onBlockStart(session, piece, begin, length),
      onBlockEnd: (session, _piece, _begin, length) => this.#downloader?.onBlockEnd(session, length),
      onDrain: (session) => this.#uploader?.wake(session),
      onClose: (session, reason) => this.#onClosed(session, reason),
    };
  }

  #learnPieceCount(session: PeerSession, info: Info): void {
    try {
      session.learnPieceCount(info.pieceCount);
    } catch (error) {
      session.close(toPeerwireError(error));
    }
  }

  /** The session may be served from now on, when the choker lets it. */
  #makeChokeable(session: PeerSession): void {
    if (!session.ready || !this.#uploader || this.#chokeable.has(session)) return;
    const { clock } = this.#options;
    const device = this.#accountable(session.source);
    this.#chokeable.set(
      session,
      this.#choker.add({
        member: this.#options.members !== false,
        device,
        get interested() {
          return session.peerInterested;
        },
        get snubs() {
          return session.amInterested && session.requests.snubs > 0;
        },
        get rate() {
          return session.downloaded.rate(clock.now());
        },
        setChoking: (choking) => {
          session.setChoking(choking);
          if (choking) this.#uploader?.onChoke(session);
        },
      }),
    );
  }

  #onClosed(session: PeerSession, reason: PeerwireError | undefined): void {
    if (!this.#sessions.delete(session)) return;
    this.#downloader?.removeSession(session);
    this.#metadata.removeSession(session);
    this.#hashes.removeSession(session);
    this.#uploader?.remove(session);
    this.#watch.forget(session);
    this.#retiring.forget(session);
    this.#chokeable.get(session)?.dispose();
    this.#chokeable.delete(session);
    this.#accounts.close(session);
    if (reason?.code === 'corrupt') this.#ban(session.source);
    if (reason && reason.code !== 'closed')
      this.#options.logger.info(`${session.wire.connection.remote}: ${reason.message}`);
    this.#onSessions.fire();
  }

  #gotPiece(piece: number): void {
    this.#announcer.add(piece);
    if (this.#downloader?.missing === 0) this.#announcer.flush();
    this.#onPiece.fire(piece);
    if (this.#downloader?.missing === 0) this.#onComplete.fire();
  }

  #corrupt(session: PeerSession, piece: number): void {
    this.#options.logger.warn(`${session.source} sent a wrong block of piece ${piece}; it is banned from this swarm`);
    session.close(new PeerwireError('corrupt', 'The peer sent content that does not match the share.'));
    this.#ban(session.source);
    this.#onCorrupt.fire(session.source);
  }

  #accountable(source: string): string {
    return this.#options.accountable?.(source) ?? source;
  }

  /** A member cannot come back through another of its peers. */
  #ban(source: string): void {
    const culprit = this.#accountable(source);
    this.#banned.add(culprit);
    for (const session of [...this.#sessions]) {
      if (this.#accountable(session.source) === culprit)
        session.close(new PeerwireError('closed', 'The member behind this peer is banned from this swarm.'));
    }
  }

  #problem(error: PeerwireError): void {
    this.#downloader?.setPaused(true);
    this.#onProblem.fire(error);
  }

  async #leaves(content: SwarmContent, piece: number): Promise<Buffer | undefined> {
    if (!content.have.has(piece)) return undefined;
    const { fileIndex, offset, length } = pieceAt(content.info, piece);
    const { hasher } = this.#options;
    const { memory } = this.#options.buffers;
    const range = memory.take(length);
    try {
      await content.storage().read(fileIndex, offset, [range.bytes]);
      if (length <= HASH_HERE) return hasher.hashBlocksSync(range.bytes);
      return await hasher.hashBlocks(range.shared, range.offset, length);
    } finally {
      memory.give(range);
    }
  }

  #tick(): void {
    const now = this.#options.clock.now();
    const circumstances = { scarce: this.#uploads.isFull, needed: !this.#content };
    for (const session of [...this.#sessions]) {
      this.#watch.check(session, now, circumstances);
      if (this.#watch.isQuiet(session, now)) this.#options.onQuiet?.(session.source);
    }
    this.#retiring.tick();
    this.#downloader?.tick();
    this.#uploader?.tick();
  }
}
