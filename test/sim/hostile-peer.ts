import { readHandshake } from '../../src/bittorrent/incoming-wire.ts';
import { LARGEST_BLOCK } from '../../src/bittorrent/peer-session.ts';
import { PeerWire } from '../../src/bittorrent/peer-wire.ts';
import { encodeExtendedHandshake } from '../../src/bittorrent/wire/extended.ts';
import type { Message } from '../../src/bittorrent/wire/messages.ts';
import { type Link, type MemoryConnection, memoryPair } from './memory-connection.ts';
import type { SimPeer, Simulation } from './simulation.ts';

/** Under which it wants metadata messages. */
export const METADATA_ID = 9;

export interface HostilePeer {
  readonly connection: MemoryConnection;
  /** The victim's end. */
  readonly other: MemoryConnection;
  readonly received: Message[];
  /** Sees the blocks that arrive. */
  onBlock?: (piece: number, begin: number, content: Buffer) => void;
  send(...messages: Message[]): void;
}

/** A peer that says only what the test tells it to. `onMessage` may answer. */
export function hostilePeer(
  sim: Simulation,
  victim: SimPeer,
  source: string,
  onMessage: (message: Message, peer: HostilePeer) => void = () => {},
  link: Link = { latency: 1, rate: 0 },
): HostilePeer {
  const [connection, other] = memoryPair(sim.clock, link, sim.random);
  const received: Message[] = [];
  let block = Buffer.alloc(0);
  const infoHash = Buffer.from(sim.version.info.infoHash, 'hex').subarray(0, 20);
  const wire = PeerWire.initiate(
    connection,
    infoHash,
    { peerId: Buffer.alloc(20, 7), extensions: { ut_metadata: METADATA_ID } },
    {
      onReady: () => {},
      onMessage: (message) => {
        received.push(message);
        onMessage(message, peer);
      },
      onExtendedHandshake: () => {},
      onExtended: (_name, payload) => {
        const message: Message = { type: 'extended', id: METADATA_ID, payload };
        received.push(message);
        onMessage(message, peer);
      },
      onBlockStart: (_piece, _begin, length) => {
        if (!peer.onBlock) return undefined;
        block = Buffer.alloc(length);
        return block;
      },
      onBlockEnd: (piece, begin) => peer.onBlock?.(piece, begin, block),
      onDrain: () => {},
      onClose: () => {},
    },
  );
  wire.setBlockLimit(LARGEST_BLOCK);
  const peer: HostilePeer = {
    connection,
    other,
    received,
    send: (...messages) => {
      for (const message of messages) wire.send(message);
    },
  };
  readHandshake(other, sim.clock)
    .then((incoming) => victim.swarm.accept(incoming, source))
    .catch(() => undefined);
  return peer;
}

export function extendedHandshake(
  m: Record<string, number>,
  fields: { metadata_size?: number; pw_block?: number; pw_run?: number } = {},
): Message {
  return { type: 'extended', id: 0, payload: encodeExtendedHandshake({ m, ...fields }) };
}
