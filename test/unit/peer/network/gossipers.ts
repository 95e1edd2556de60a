import { CatalogueGossip, type GossipLink } from '../../../../src/peer/network/catalogue-gossip.ts';
import type { PeerRef } from '../../../../src/peer/network/channel.ts';
import {
  type CatalogueMessage,
  decodeCatalogueMessage,
  encodeCatalogueMessage,
} from '../../../../src/peer/network/control-messages.ts';
import type { VirtualClock } from '../../../sim/virtual-clock.ts';
import { type TestNode, type TestRegister, testNode, testPeer } from './support.ts';

/** A store, its own catalogue and its gossip, to be linked with others in memory. */
export interface Gossiper extends TestNode {
  readonly gossip: CatalogueGossip;
  readonly sent: CatalogueMessage[];
  /** False: an older program. */
  takesDeltas: boolean;
}

export function gossiper(clock: VirtualClock, register: TestRegister, peer = testPeer()): Gossiper {
  const node = testNode(clock, register, peer);
  const logger = { debug() {}, info() {}, error() {}, warn: (message: string) => void node.warnings.push(message) };
  const gossip = new CatalogueGossip({
    store: node.store,
    clock,
    logger,
    isRevoked: (device) => register.isRevoked(device),
    onOwn: (signed) => node.own.supersede(signed),
  });
  node.own.start();
  return { ...node, gossip, sent: [], takesDeltas: true };
}

/** Joins two ends; every message crosses in its encoded form, a millisecond later. Returns what cuts them apart. */
export function connectGossipers(clock: VirtualClock, a: Gossiper, b: Gossiper): () => void {
  let open = true;
  const ends: GossipLink[] = [];
  const end = (from: Gossiper, to: Gossiper, other: () => GossipLink | undefined): GossipLink => ({
    peer: { device: to.peer.device, instance: to.peer.instance },
    writable: true,
    takesDeltas: to.takesDeltas,
    sendCatalogue(message) {
      from.sent.push(message);
      const bytes = encodeCatalogueMessage(message);
      clock.setTimeout(() => {
        const link = other();
        const decoded = decodeCatalogueMessage(bytes);
        if (open && link !== undefined && decoded !== undefined) to.gossip.receive(link, decoded);
      }, 1);
    },
  });
  const atA = end(a, b, () => ends[1]);
  const atB = end(b, a, () => ends[0]);
  ends.push(atA, atB);
  a.gossip.join(atA);
  b.gossip.join(atB);
  return () => {
    open = false;
    a.gossip.leave(atA);
    b.gossip.leave(atB);
  };
}

/** A peer played by the test: what it is sent, and how it speaks. */
export function puppetOf(node: Gossiper, peer: PeerRef = testPeer()) {
  const received: CatalogueMessage[] = [];
  const link: GossipLink = {
    peer,
    writable: true,
    takesDeltas: true,
    sendCatalogue: (message) => void received.push(message),
  };
  node.gossip.join(link);
  return { link, received, say: (message: CatalogueMessage) => node.gossip.receive(link, message) };
}
