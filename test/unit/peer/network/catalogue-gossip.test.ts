import assert from 'node:assert/strict';
import { type Section, signSection } from '../../../../src/peer/network/catalogue.ts';
import type { GossipLink } from '../../../../src/peer/network/catalogue-gossip.ts';
import { type CatalogueMessage, partsOf } from '../../../../src/peer/network/control-messages.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { connectGossipers, type Gossiper, gossiper as makeGossiper, puppetOf } from './gossipers.ts';
import { advance, section, share, shareNames, type TestPeer, TestRegister, testPeer } from './support.ts';

describe('CatalogueGossip', () => {
  let clock: VirtualClock;
  let register: TestRegister;

  beforeEach(() => {
    clock = new VirtualClock();
    register = new TestRegister();
  });

  const gossiper = (peer?: TestPeer): Gossiper => makeGossiper(clock, register, peer);
  const connect = (a: Gossiper, b: Gossiper): (() => void) => connectGossipers(clock, a, b);
  const puppet = puppetOf;

  function signed(peer: TestPeer, fields: Partial<Section> = {}) {
    return signSection(section(peer, fields), peer.identity, Buffer.from(peer.device));
  }

  function headOf(peer: TestPeer, fields: { incarnation?: number; sequence?: number; digest?: string } = {}) {
    return { ...peer, audience: '', incarnation: 1, sequence: 1, digest: '00'.repeat(8), ...fields };
  }

  function names(node: Gossiper): string[] {
    return shareNames(node.store.catalogues().flatMap(({ shares }) => shares));
  }

  it('brings a change to a connected peer within milliseconds', async () => {
    const [a, b] = [gossiper(), gossiper()];
    connect(a, b);
    await advance(clock, 1000);
    a.own.set([share({ name: 'news' })], []);
    await advance(clock, 2);
    assert.deepEqual(names(b), ['news']);
  });

  it('lets a third learn from the second what the first shares, when the first is gone', async () => {
    const [a, b, c] = [gossiper(), gossiper(), gossiper()];
    a.own.set([share({ name: 'legacy' })], []);
    const part = connect(a, b);
    await advance(clock, 1000);
    part();
    connect(b, c);
    await advance(clock, 1000);
    assert.deepEqual(names(c), ['legacy']);
  });

  it('sends only what the other lacks', async () => {
    const [a, b] = [gossiper(), gossiper()];
    a.own.set([share({ name: 'x' })], []);
    const part = connect(a, b);
    await advance(clock, 1000);
    part();
    a.sent.length = b.sent.length = 0;
    connect(a, b);
    await advance(clock, 1000);
    assert.deepEqual(
      [...a.sent, ...b.sent].map(({ type }) => type),
      ['heads', 'heads'],
    );
  });

  it('carries a section once to each peer of a full mesh', async () => {
    const nodes = Array.from({ length: 6 }, () => gossiper());
    for (const [i, a] of nodes.entries()) for (const b of nodes.slice(i + 1)) connect(a, b);
    await advance(clock, 2000);
    for (const node of nodes) node.sent.length = 0;
    nodes[0]?.own.set([share({ name: 'one' })], []);
    await advance(clock, 2000);
    for (const node of nodes.slice(1)) assert.deepEqual(names(node), ['one']);
    const parts = nodes.flatMap(({ sent }) => sent.filter(({ type }) => type === 'part'));
    assert.equal(parts.length, nodes.length - 1);
  });

  it('gives limited shares to nobody outside their audience, not even their heads', async () => {
    const [owner, friend, outsider, second] = [gossiper(), gossiper(), gossiper(), gossiper()];
    owner.own.set(
      [share({ name: 'secret', to: [friend.peer.device, second.peer.device] }), share({ name: 'open' })],
      [],
    );
    connect(owner, friend);
    connect(owner, outsider);
    await advance(clock, 1000);
    connect(friend, outsider);
    connect(friend, second);
    await advance(clock, 1000);
    assert.deepEqual(names(friend), ['open', 'secret']);
    assert.deepEqual(names(second), ['open', 'secret'], 'members of the audience pass it on to each other');
    assert.deepEqual(names(outsider), ['open']);
    const limited = owner.store.own().find(({ section: own }) => own.to !== undefined);
    const eve = puppet(friend, outsider.peer);
    const told = JSON.stringify(eve.received);
    assert.ok(limited && !told.includes(limited.digest));
    const { device, instance } = owner.peer;
    const audience =
      [...owner.store.entries()].map(([key]) => key.split('/')[2] ?? '').find((text) => text !== '') ?? '';
    eve.say({ type: 'want', names: [{ device, instance, audience }] });
    assert.ok(!eve.received.some(({ type }) => type === 'part'), 'asking for it by name does not help');
  });

  it('withdraws a share from those who may not have it any more', async () => {
    const [owner, friend] = [gossiper(), gossiper()];
    const secret = share({ name: 'secret', to: [friend.peer.device] });
    owner.own.set([secret], []);
    connect(owner, friend);
    await advance(clock, 1000);
    assert.deepEqual(names(friend), ['secret']);
    owner.own.set([{ ...secret, to: [testPeer().device] }], []);
    await advance(clock, 1000);
    assert.deepEqual(names(friend), []);
  });

  it('moves a section of many parts, slowed by a peer that reads slowly', async () => {
    const [a, b] = [gossiper(), gossiper()];
    const many = Array.from({ length: 3000 }, (_, i) => share({ name: `file-${i}.txt`, message: 'm'.repeat(100) }));
    a.own.set(many, []);
    await advance(clock, 1000);
    const received: CatalogueMessage[] = [];
    let writable = false;
    const link: GossipLink = {
      peer: b.peer,
      takesDeltas: true,
      get writable() {
        return writable;
      },
      sendCatalogue(message) {
        received.push(message);
        if (message.type === 'part') writable = false;
      },
    };
    a.gossip.join(link);
    const [own] = a.store.own();
    assert.ok(own && own.bytes.length > 5 * 48 * 1024);
    a.gossip.receive(link, { type: 'want', names: [{ ...a.peer, audience: '' }] });
    assert.equal(received.filter(({ type }) => type === 'part').length, 0);
    for (let i = 0; i < 3; i++) {
      writable = true;
      a.gossip.drained(link);
    }
    assert.equal(received.filter(({ type }) => type === 'part').length, 3, 'one for each time that there was room');
    while (received.at(-1)?.type === 'part' && received.filter(({ type }) => type === 'part').length < 99) {
      const before = received.length;
      writable = true;
      a.gossip.drained(link);
      if (received.length === before) break;
    }
    const sender = puppet(b, a.peer);
    for (const message of received) if (message.type === 'part') sender.say(message);
    assert.equal(names(b).length, 3000);
  });

  it('asks another peer when the first does not deliver', async () => {
    const node = gossiper();
    const owner = testPeer();
    const liar = puppet(node);
    const honest = puppet(node);
    const truth = signed(owner, { shares: [share({ name: 'truth' })] });
    liar.say({ type: 'heads', heads: [headOf(owner, { sequence: 1000 })] });
    honest.say({ type: 'heads', heads: [headOf(owner)] });
    const wants = (who: typeof liar) => who.received.filter(({ type }) => type === 'want').length;
    assert.deepEqual([wants(liar), wants(honest)], [1, 0]);
    await advance(clock, 21_000);
    assert.equal(wants(honest), 1);
    for (const part of partsOf(truth.bytes)) honest.say({ ...part, type: 'part', name: headOf(owner) });
    assert.deepEqual(names(node), ['truth']);
    for (let i = 0; i < 10; i++) {
      liar.say({ type: 'heads', heads: [headOf(owner, { sequence: 2000 + i })] });
      await advance(clock, 21_000);
    }
    assert.equal(wants(liar), 2, 'a peer that never delivers is not asked for ever');
  });

  it('asks another peer at once when the first leaves', () => {
    const node = gossiper();
    const owner = testPeer();
    const first = puppet(node);
    const second = puppet(node);
    for (const one of [first, second]) one.say({ type: 'heads', heads: [headOf(owner)] });
    assert.ok(!second.received.some(({ type }) => type === 'want'));
    node.gossip.leave(first.link);
    assert.ok(second.received.some(({ type }) => type === 'want'));
  });

  it('ignores sections of others that it did not ask for', () => {
    const node = gossiper();
    const pusher = testPeer();
    const { say } = puppet(node, pusher);
    const owner = testPeer();
    for (const part of partsOf(signed(owner, { shares: [share()] }).bytes)) {
      say({ ...part, type: 'part', name: headOf(owner) });
    }
    assert.deepEqual(names(node), []);
    for (const part of partsOf(signed(pusher, { shares: [share({ name: 'own' })] }).bytes)) {
      say({ ...part, type: 'part', name: headOf(pusher) });
    }
    assert.deepEqual(names(node), ['own']);
  });

  it('fetches the proof of two sections under one version, once, and keeps the first', async () => {
    const node = gossiper();
    const owner = testPeer();
    const first = puppet(node, owner);
    const one = signed(owner, { shares: [share({ name: 'one' })] });
    const two = signed(owner, { shares: [share({ name: 'two' })] });
    for (const part of partsOf(one.bytes)) first.say({ ...part, type: 'part', name: headOf(owner) });
    const witness = puppet(node);
    const claim = { type: 'heads', heads: [headOf(owner, { digest: two.digest })] } as const;
    witness.say(claim);
    assert.equal(witness.received.filter(({ type }) => type === 'want').length, 1);
    for (const part of partsOf(two.bytes)) witness.say({ ...part, type: 'part', name: headOf(owner) });
    assert.deepEqual(names(node), ['one']);
    assert.ok(node.warnings.some((warning) => warning.includes('signed twice')));
    witness.say(claim);
    await advance(clock, 60_000);
    assert.equal(witness.received.filter(({ type }) => type === 'want').length, 1);
  });

  it('does not ask for what the revoked say', () => {
    const node = gossiper();
    const evicted = testPeer();
    register.revoked.add(evicted.device);
    const { say, received } = puppet(node);
    say({ type: 'heads', heads: [headOf(evicted)] });
    assert.ok(!received.some(({ type }) => type === 'want'));
  });

  it('does not serve the same to the same over and over', async () => {
    const node = gossiper();
    const { say, received } = puppet(node);
    const parts = () => received.filter(({ type }) => type === 'part').length;
    for (let i = 0; i < 100; i++) say({ type: 'want', names: [{ ...node.peer, audience: '' }] });
    assert.equal(parts(), 1);
    await advance(clock, 10_001);
    say({ type: 'want', names: [{ ...node.peer, audience: '' }] });
    assert.equal(parts(), 2);
  });

  it('takes back what it lost, and says what holds now', async () => {
    const peer = testPeer();
    const [before, witness] = [gossiper(peer), gossiper()];
    before.own.set([share({ name: 'yesterday' })], []);
    const part = connect(before, witness);
    await advance(clock, 1000);
    part();
    before.gossip.dispose();
    // The same peer with an empty disk and a clock that went back.
    clock = new VirtualClock();
    const after = gossiper(peer);
    after.own.set([share({ name: 'today' })], []);
    connect(after, witness);
    await advance(clock, 1000);
    assert.deepEqual(names(witness), ['today']);
  });

  it('converges in a random mesh that changes under way', async () => {
    const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
    const random = mulberry32(seed);
    const nodes = Array.from({ length: 8 }, () => gossiper());
    const links = new Map<string, () => void>();
    const pick = () => Math.floor(random() * nodes.length);
    for (let step = 0; step < 200; step++) {
      const [i, j] = [pick(), pick()];
      const key = `${Math.min(i, j)}-${Math.max(i, j)}`;
      const [a, b] = [nodes[i], nodes[j]];
      if (!a || !b) continue;
      if (random() < 0.4) {
        a.own.set([share({ name: `v${step}` })], []);
      } else if (i !== j) {
        const cut = links.get(key);
        if (cut) cut();
        links.delete(key);
        if (!cut) links.set(key, connect(a, b));
      }
      await advance(clock, Math.floor(random() * 30));
    }
    for (const cut of links.values()) cut();
    // A line joins everyone in the end.
    for (let i = 1; i < nodes.length; i++) connect(nodes[i - 1] ?? gossiper(), nodes[i] ?? gossiper());
    await advance(clock, 60_000);
    const all = (node: Gossiper): string[] =>
      [...node.store.entries()].map(([key, { digest }]) => `${key} ${digest}`).sort();
    for (const node of nodes) assert.deepEqual(all(node), all(nodes[0] ?? node), `seed ${seed}`);
  });
});

function mulberry32(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
