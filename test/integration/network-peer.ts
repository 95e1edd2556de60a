import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type IncomingWire, readHandshake } from '../../src/bittorrent/incoming-wire.ts';
import { PeerWire } from '../../src/bittorrent/peer-wire.ts';
import { RateLimiter } from '../../src/bittorrent/rate-limiter.ts';
import { systemClock } from '../../src/common/clock.ts';
import { Emitter, type Event } from '../../src/common/event.ts';
import {
  type InfoHash,
  infoHashFromBytes,
  type PeerInstance,
  parsePeerInstance,
  shareIdFromBytes,
} from '../../src/common/ids.ts';
import { type Logger, prefixed, silentLogger } from '../../src/common/log.ts';
import type { ShareEntry } from '../../src/peer/network/catalogue.ts';
import type { MemberChannel } from '../../src/peer/network/channel.ts';
import type { DialTarget } from '../../src/peer/network/dialer.ts';
import { NetworkNode } from '../../src/peer/network/network-node.ts';
import { RelayHost } from '../../src/peer/network/relay/relay-host.ts';
import { StateStore } from '../../src/peer/state-store.ts';
import type { Member, NetworkTrust } from '../../src/peer/trust/membership.ts';
import { dial } from '../../src/transport/dial.ts';
import { createIdentity, type Identity } from '../../src/transport/identity.ts';
import { PeerListener } from '../../src/transport/listener.ts';
import { announce } from '../../src/transport/tracker-client.ts';

const verbose = process.env.PEERWIRE_TEST_LOG === '1';

/** A swarm channel that arrived at a peer's listener. */
export interface ArrivedSwarm {
  readonly channel: MemberChannel;
  /** First 20 bytes of the infohash in hex. */
  readonly infohash: string;
  readonly incoming: IncomingWire;
}

/** One peer of a network with a real listener: what the peer node makes of a `NetworkNode`, without content. */
export class NetworkPeer {
  readonly name: string;
  readonly identity: Identity;
  readonly instance: PeerInstance;
  readonly trust: NetworkTrust;
  readonly dir: string;
  /** Every control or swarm channel that this peer opened or accepted. */
  readonly channels: MemberChannel[] = [];
  readonly #swarms = new Emitter<ArrivedSwarm>();
  readonly onSwarm: Event<ArrivedSwarm> = this.#swarms.event;
  #listener: PeerListener<Member> | undefined;
  #node: NetworkNode | undefined;
  /** Sees what this peer relays. */
  tap: (chunk: Uint8Array, side: 0 | 1, session: number) => void = () => {};
  readonly upload = new RateLimiter(systemClock);
  #relay: RelayHost | undefined;

  static async create(name: string, trust: (identity: Identity) => NetworkTrust, identity = createIdentity()) {
    const dir = await mkdtemp(join(tmpdir(), 'peerwire-network-'));
    return new NetworkPeer(name, identity, trust(identity), dir);
  }

  private constructor(name: string, identity: Identity, trust: NetworkTrust, dir: string) {
    this.name = name;
    this.identity = identity;
    this.trust = trust;
    this.dir = dir;
    this.instance = parsePeerInstance(randomBytes(8).toString('hex'));
  }

  get node(): NetworkNode {
    if (this.#node === undefined) throw new Error(`${this.name} does not run`);
    return this.#node;
  }

  /** What this peer relays for others. */
  get relay(): RelayHost {
    if (this.#relay === undefined) throw new Error(`${this.name} does not run`);
    return this.#relay;
  }

  get port(): number | undefined {
    return this.#listener?.port;
  }

  get address(): string {
    return `127.0.0.1:${this.port}`;
  }

  /** @param listen on any free port, or not at all */
  async start(listen: 'listening' | 'outbound-only' = 'listening'): Promise<this> {
    const { identity, instance, trust } = this;
    const logger = this.#logger;
    if (listen === 'listening') await this.listen();
    const relay = new RelayHost({
      clock: systemClock,
      logger,
      upload: this.upload,
      tap: (...seen) => this.tap(...seen),
    });
    this.#relay = relay;
    this.#node = new NetworkNode({
      identity,
      instance,
      deviceName: this.name,
      trust,
      store: new StateStore(this.dir),
      clock: systemClock,
      logger,
      listenPort: () => this.port,
      version: '0.0.0',
      dial: (target) => this.#dial(target),
      announce,
      relay,
      acceptRelayed: (channel) => this.#route(channel),
    });
    await this.#node.start();
    return this;
  }

  /** Takes connections from now on. */
  async listen(): Promise<void> {
    const { identity, instance, trust } = this;
    const listener: PeerListener<Member> = await PeerListener.listen({
      host: '127.0.0.1',
      port: 0,
      identity,
      instance,
      networks: () => [trust],
      limits: { pendingPerAddress: 64 },
      logger: this.#logger,
    });
    listener.onChannel((channel) => this.#route(channel));
    this.#listener = listener;
  }

  get #logger(): Logger {
    const log = (message: string): void => console.log(message);
    return verbose ? prefixed({ debug: log, info: log, warn: log, error: log }, this.name) : silentLogger;
  }

  /** Ends in good order; `start` may follow. */
  async stop(): Promise<void> {
    this.#listener?.dispose();
    this.#listener = undefined;
    await this.#node?.close();
    this.#relay?.dispose();
    this.#node = undefined;
    for (const channel of this.channels) channel.close();
  }

  async remove(): Promise<void> {
    await this.stop();
    this.#swarms.dispose();
    await rm(this.dir, { recursive: true, force: true });
  }

  connectedTo(other: NetworkPeer): boolean {
    return this.node.directory.isConnected({ device: other.identity.device, instance: other.instance });
  }

  /** Names of the shares of `owner` that this peer knows. */
  shareNames(owner: NetworkPeer): string[] {
    return this.node.directory
      .catalogues()
      .filter(({ device, instance }) => device === owner.identity.device && instance === owner.instance)
      .flatMap(({ shares }) => shares.map(({ name }) => name))
      .sort();
  }

  /** Opens a swarm over a channel, as an engine would. */
  openSwarm(channel: MemberChannel, infohash: InfoHash): void {
    PeerWire.initiate(
      channel,
      Buffer.from(infohash, 'hex').subarray(0, 20),
      { peerId: randomBytes(20), extensions: {} },
      {
        onReady() {},
        onMessage() {},
        onExtendedHandshake() {},
        onExtended() {},
        onBlockStart: () => undefined,
        onBlockEnd() {},
        onDrain() {},
        onClose() {},
      },
    );
  }

  /** Dials another peer, for nothing but the transport's answer. */
  async knock(other: NetworkPeer): Promise<void> {
    const { signal } = new AbortController();
    const channel = await this.#dial({ host: '127.0.0.1', port: other.port ?? 0, signal });
    channel.close();
  }

  async #dial(target: DialTarget): Promise<MemberChannel> {
    const { identity, instance, trust } = this;
    const channel = await dial({ ...target, identity, instance, access: trust });
    this.channels.push(channel);
    return channel;
  }

  #route(channel: MemberChannel): void {
    this.channels.push(channel);
    readHandshake(channel, systemClock).then(
      (incoming) => {
        const { infoHash } = incoming.handshake;
        if (this.#node?.acceptRelay(channel, incoming) === true) return;
        if (!infoHash.equals(this.trust.controlInfoHash)) {
          this.#swarms.fire({ channel, infohash: infoHash.toString('hex'), incoming });
        } else if (this.#node === undefined) channel.close();
        else this.#node.acceptControl(channel, incoming);
      },
      () => channel.close(),
    );
  }
}

export function shareEntry(name: string, fields: Partial<ShareEntry> = {}): ShareEntry {
  return {
    share: shareIdFromBytes(randomBytes(16)),
    infohash: infoHashFromBytes(randomBytes(32)),
    name,
    kind: 'file',
    size: 1,
    files: 1,
    version: 1,
    time: Date.now(),
    ...fields,
  };
}

/** Resolves when `test` holds, looked at now and whenever one of the peers reports a change. */
export function until(peers: readonly NetworkPeer[], test: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const check = (): void => {
      if (!test()) return;
      for (const subscription of subscriptions) subscription.dispose();
      resolve();
    };
    const subscriptions = peers.flatMap(({ node }) => [
      node.onPeersChanged(check),
      node.onCataloguesChanged(check),
      node.onStateChanged(check),
      node.onRevoked(check),
    ]);
    check();
  });
}
