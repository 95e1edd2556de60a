import assert from 'node:assert/strict';
import { silentLogger } from '../../../../src/common/log.ts';
import type { MembershipMessage } from '../../../../src/peer/network/control-messages.ts';
import {
  MembershipGossip,
  type MembershipLink,
  type Revocations,
} from '../../../../src/peer/network/membership-gossip.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { testPeer } from './support.ts';

/** A growing set of words in place of signed revocations. */
class Words implements Revocations {
  readonly words = new Set<string>();

  get revocationHead(): string {
    return [...this.words].sort().join('+');
  }

  revocationsBytes(): Buffer {
    return Buffer.from([...this.words].join(' '));
  }

  applyRevocations(bytes: Uint8Array): void {
    for (const word of Buffer.from(bytes).toString().split(' ')) {
      if (word === 'forged') throw new Error('forged');
      if (word !== '') this.words.add(word);
    }
  }
}

function node() {
  const words = new Words();
  return {
    words,
    gossip: new MembershipGossip(words, new VirtualClock(), silentLogger),
    sent: [] as MembershipMessage[],
  };
}

/** Joins two; messages cross at once, in order. */
function connect(a: ReturnType<typeof node>, b: ReturnType<typeof node>): void {
  const queue: (() => void)[] = [];
  const atA: MembershipLink = {
    peer: testPeer(),
    sendMembership: (message) => {
      a.sent.push(message);
      queue.push(() => b.gossip.receive(atB, message));
      drain();
    },
  };
  const atB: MembershipLink = {
    peer: testPeer(),
    sendMembership: (message) => {
      b.sent.push(message);
      queue.push(() => a.gossip.receive(atA, message));
      drain();
    },
  };
  let draining = true;
  const drain = (): void => {
    if (draining) return;
    draining = true;
    for (let next = queue.shift(); next; next = queue.shift()) next();
    draining = false;
  };
  a.gossip.join(atA);
  b.gossip.join(atB);
  draining = false;
  drain();
}

describe('MembershipGossip', () => {
  it('gives both sides everything that either knows', () => {
    const [a, b] = [node(), node()];
    a.words.words.add('x');
    b.words.words.add('y');
    connect(a, b);
    assert.equal(a.words.revocationHead, 'x+y');
    assert.equal(b.words.revocationHead, 'x+y');
  });

  it('sends nothing but heads to who knows the same', () => {
    const [a, b] = [node(), node()];
    for (const { words } of [a, b]) words.words.add('x');
    connect(a, b);
    assert.deepEqual(
      [...a.sent, ...b.sent].map(({ type }) => type),
      ['head', 'head'],
    );
  });

  it('passes a change on through the mesh, and comes to rest', () => {
    const nodes = Array.from({ length: 5 }, node);
    for (const [i, a] of nodes.entries()) for (const b of nodes.slice(i + 1)) connect(a, b);
    const line = [node(), node(), node()];
    for (const [i, a] of line.entries()) connect(a, line[i + 1] ?? (nodes[0] as ReturnType<typeof node>));
    line[0]?.words.words.add('evicted');
    line[0]?.gossip.changed();
    for (const { words } of [...nodes, ...line]) assert.equal(words.revocationHead, 'evicted');
  });

  it('says what the other lacks before anything else, when the handshake has shown that it lacks something', () => {
    const { words, gossip } = node();
    words.words.add('evicted');
    const said: string[] = [];
    const link: MembershipLink = { peer: testPeer(), sendMembership: ({ type }) => said.push(type) };
    gossip.join(link, 'another head');
    assert.deepEqual(said, ['head', 'part']);
    // Once is enough.
    gossip.receive(link, { type: 'head', head: 'another head' });
    assert.deepEqual(said, ['head', 'part']);
    const equal: string[] = [];
    gossip.join({ peer: testPeer(), sendMembership: ({ type }) => equal.push(type) }, words.revocationHead);
    assert.deepEqual(equal, ['head']);
  });

  it('lets an error of verification reach the connection', () => {
    const { gossip } = node();
    const link: MembershipLink = { peer: testPeer(), sendMembership() {} };
    gossip.join(link);
    const data = Buffer.from('forged');
    assert.throws(() => gossip.receive(link, { type: 'part', head: 'h', size: data.length, at: 0, data }), /forged/);
  });
});
