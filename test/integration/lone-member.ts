import { randomBytes } from 'node:crypto';
import { PeerWire } from '../../src/bittorrent/peer-wire.ts';
import { encodeHandshake, HANDSHAKE_SIZE } from '../../src/bittorrent/wire/handshake.ts';
import type { Message } from '../../src/bittorrent/wire/messages.ts';
import { type DeviceId, type PeerInstance, parsePeerInstance } from '../../src/common/ids.ts';
import { EXTENSIONS } from '../../src/peer/network/control-messages.ts';
import type { OpenPeer } from '../../src/peer/open-peer.ts';
import { type Member, NetworkTrust } from '../../src/peer/trust/membership.ts';
import { dial } from '../../src/transport/dial.ts';
import { createIdentity, type Identity } from '../../src/transport/identity.ts';
import type { SecureChannel } from '../../src/transport/secure-channel.ts';

export function newInstance(): PeerInstance {
  return parsePeerInstance(randomBytes(8).toString('hex'));
}

/** What came over a channel until the other end closed it. */
export interface Answer {
  /** A BitTorrent handshake came back. */
  readonly answered: boolean;
  readonly bytes: number;
}

/** The other end of a wire that a test speaks over, and what arrived. */
export interface RawWire {
  readonly wire: PeerWire;
  readonly channel: SecureChannel<Member>;
  readonly messages: Message[];
  /** Extension messages that arrived. */
  readonly extended: { readonly name: string; readonly payload: Buffer }[];
  /** Sizes of blocks that arrived whole. */
  readonly blocks: number[];
  readonly closed: Promise<void>;
  /** Resolves when `look` holds, asked after everything that arrives; rejects when the connection closes before. */
  until(look: () => boolean): Promise<void>;
}

/**
 * A member with no peer behind it: it has a membership like any other, and says what a test wants it to say. For what an
 * honest peer would not do.
 */
export class LoneMember {
  readonly identity: Identity;
  readonly trust: NetworkTrust;
  readonly #channels: SecureChannel<Member>[] = [];

  constructor(identity: Identity, trust: NetworkTrust) {
    this.identity = identity;
    this.trust = trust;
  }

  static join(invite: string, identity = createIdentity()): LoneMember {
    return new LoneMember(identity, NetworkTrust.joinNetwork(identity, invite));
  }

  get device(): DeviceId {
    return this.identity.device;
  }

  /** A channel past the member handshake: nothing was said in it yet. */
  async dial(peer: OpenPeer | number, instance = newInstance()): Promise<SecureChannel<Member>> {
    const port = typeof peer === 'number' ? peer : ((await peer.status()).port ?? 0);
    const { identity, trust } = this;
    const channel = await dial({ host: '127.0.0.1', port, identity, instance, access: trust });
    this.#channels.push(channel);
    return channel;
  }

  /** Asks for a swarm by the BitTorrent handshake alone, and waits until it is answered or the other end closes. */
  async knock(peer: OpenPeer | number, infohash: string): Promise<Answer> {
    const channel = await this.dial(peer);
    return await new Promise((resolve) => {
      let bytes = 0;
      const settle = (): void => {
        resolve({ answered: bytes >= HANDSHAKE_SIZE, bytes });
        channel.close();
      };
      channel.start({
        onData: (chunk) => {
          bytes += chunk.length;
          if (bytes >= HANDSHAKE_SIZE) settle();
        },
        onDrain() {},
        onClose: settle,
      });
      channel.write([
        encodeHandshake({ infoHash: Buffer.from(infohash, 'hex').subarray(0, 20), peerId: randomBytes(20) }),
      ]);
    });
  }

  /** Opens a swarm (or, by default, the control connection) and says nothing in it but the handshakes. */
  async open(
    peer: OpenPeer | number,
    infohash: Uint8Array | string = this.trust.controlInfoHash,
    instance = newInstance(),
    port = 0,
  ): Promise<RawWire> {
    const channel = await this.dial(peer, instance);
    const bytes = typeof infohash === 'string' ? Buffer.from(infohash, 'hex').subarray(0, 20) : infohash;
    const messages: Message[] = [];
    const extended: { name: string; payload: Buffer }[] = [];
    const blocks: number[] = [];
    const looks = new Set<() => void>();
    const arrived = (): void => {
      for (const look of looks) look();
    };
    let close = (): void => {};
    const closed = new Promise<void>((resolve) => {
      close = resolve;
    });
    const wire = PeerWire.initiate(
      channel,
      bytes,
      { peerId: randomBytes(20), extensions: EXTENSIONS, extended: { v: 'Peerwire test', p: port } },
      {
        onReady: arrived,
        onMessage: (message) => {
          messages.push(message);
          arrived();
        },
        onExtendedHandshake: arrived,
        onExtended: (name, payload) => {
          extended.push({ name, payload: Buffer.from(payload) });
          arrived();
        },
        onBlockStart: () => undefined,
        onBlockEnd: (_piece, _begin, length) => {
          blocks.push(length);
          arrived();
        },
        onDrain() {},
        onClose: () => {
          close();
          arrived();
        },
      },
    );
    const until = (test: () => boolean): Promise<void> =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          if (!test() && !wire.closed) return;
          looks.delete(look);
          if (test()) resolve();
          else reject(new Error('The other end closed the connection.'));
        };
        looks.add(look);
        look();
      });
    return { wire, channel, messages, extended, blocks, closed, until };
  }

  dispose(): void {
    for (const channel of this.#channels) channel.close();
  }
}
