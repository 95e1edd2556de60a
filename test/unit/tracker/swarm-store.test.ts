import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DEFAULT_LIMITS } from '../../../tracker/limits.ts';
import { type Announce, SwarmStore } from '../../../tracker/swarm-store.ts';

const HASH = 'a'.repeat(20);

function announce(change: Partial<Announce> = {}): Announce {
  return {
    infoHash: HASH,
    address: Uint8Array.of(10, 0, 0, 1),
    port: 1,
    peerId: Buffer.alloc(20, 1),
    seed: false,
    event: 'none',
    numWant: 50,
    ...change,
  };
}
const v6 = (last: number): Uint8Array =>
  Uint8Array.from({ length: 16 }, (_, i) => (i === 0 ? 0x20 : i === 15 ? last : 0));
const ports = (store: SwarmStore, slots: readonly number[]): number[] =>
  slots.map((slot) => store.pool.port(slot)).sort((a, b) => a - b);

describe('SwarmStore', () => {
  it('introduces peers to each other and never to themselves', () => {
    const store = new SwarmStore(DEFAULT_LIMITS);
    assert.deepEqual(ports(store, store.announce(announce({ port: 1 }), 0).ipv4), []);
    assert.deepEqual(ports(store, store.announce(announce({ port: 2 }), 0).ipv4), [1]);
    assert.deepEqual(ports(store, store.announce(announce({ port: 1 }), 0).ipv4), [2]);
    assert.deepEqual(ports(store, store.announce(announce({ port: 3, infoHash: 'b'.repeat(20) }), 0).ipv4), []);
    assert.deepEqual(store.counts, { swarms: 2, peers: 3, seeds: 0 });
  });

  it('counts seeds and leechers, and completions once', () => {
    const store = new SwarmStore(DEFAULT_LIMITS);
    store.announce(announce({ port: 1, seed: true }), 0);
    store.announce(announce({ port: 2 }), 0);
    const answer = store.announce(announce({ port: 2, seed: true, event: 'completed' }), 0);
    assert.deepEqual([answer.complete, answer.incomplete], [2, 0]);
    store.announce(announce({ port: 2, seed: true, event: 'completed' }), 0);
    assert.deepEqual(store.scrape(HASH), { complete: 2, incomplete: 0, downloaded: 1 });
    assert.equal(store.scrape('b'.repeat(20)), undefined);
  });

  it('gives seeds leechers first, and other seeds when there is room', () => {
    const store = new SwarmStore(DEFAULT_LIMITS);
    for (let port = 1; port <= 3; port++) store.announce(announce({ port, seed: true }), 0);
    for (let port = 11; port <= 13; port++) store.announce(announce({ port }), 0);
    const seed = announce({ port: 1, seed: true });
    assert.deepEqual(ports(store, store.announce({ ...seed, numWant: 3 }, 0).ipv4), [11, 12, 13]);
    assert.deepEqual(ports(store, store.announce({ ...seed, numWant: 50 }, 0).ipv4), [2, 3, 11, 12, 13]);
  });

  it('keeps IPv4 and IPv6 apart, each up to numwant', () => {
    const store = new SwarmStore(DEFAULT_LIMITS);
    for (let port = 1; port <= 4; port++) {
      store.announce(announce({ port }), 0);
      store.announce(announce({ port, address: v6(port) }), 0);
    }
    const answer = store.announce(announce({ port: 9, numWant: 3 }), 0);
    assert.equal(answer.ipv4.length, 3);
    assert.equal(answer.ipv6.length, 3);
    assert.ok(answer.ipv6.every((slot) => store.pool.isIpv6(slot)));
    assert.equal(answer.incomplete, 9);
  });

  it('answers clients that cannot be dialed (port 0) without storing them', () => {
    const store = new SwarmStore(DEFAULT_LIMITS);
    assert.deepEqual(ports(store, store.announce(announce({ port: 0 }), 0).ipv4), []);
    assert.equal(store.counts.swarms, 0);
    store.announce(announce({ port: 5 }), 0);
    assert.deepEqual(ports(store, store.announce(announce({ port: 0 }), 0).ipv4), [5]);
    assert.deepEqual(store.counts, { swarms: 1, peers: 1, seeds: 0 });
  });

  it('removes a peer that stops, and the swarm with its last one', () => {
    const store = new SwarmStore(DEFAULT_LIMITS);
    store.announce(announce({ port: 1, seed: true }), 0);
    store.announce(announce({ port: 2 }), 0);
    const answer = store.announce(announce({ port: 1, event: 'stopped' }), 0);
    assert.deepEqual([answer.complete, answer.incomplete, answer.ipv4.length], [0, 1, 0]);
    store.announce(announce({ port: 7, event: 'stopped' }), 0);
    assert.equal(store.counts.peers, 1);
    store.announce(announce({ port: 2, event: 'stopped' }), 0);
    assert.deepEqual(store.counts, { swarms: 0, peers: 0, seeds: 0 });
    store.announce(announce({ infoHash: 'c'.repeat(20), event: 'stopped' }), 0);
    assert.equal(store.counts.swarms, 0);
  });

  it('forgets peers that stay away, and no others', () => {
    const store = new SwarmStore(DEFAULT_LIMITS);
    store.announce(announce({ port: 1 }), 1000);
    store.announce(announce({ port: 2 }), 2000);
    store.announce(announce({ port: 3 }), 3000);
    store.announce(announce({ port: 1 }), 4000);
    assert.equal(store.expire(2000, 10), 0);
    assert.equal(store.expire(3000, 10), 1);
    assert.deepEqual(ports(store, store.announce(announce({ port: 0 }), 0).ipv4), [1, 3]);
    assert.equal(store.expire(9000, 1), 1);
    assert.equal(store.expire(9000, 10), 1);
    assert.deepEqual(store.counts, { swarms: 0, peers: 0, seeds: 0 });
  });

  it('caps numwant', () => {
    const store = new SwarmStore({ ...DEFAULT_LIMITS, numWant: 5 });
    for (let port = 1; port <= 20; port++) store.announce(announce({ port }), 0);
    assert.equal(store.announce(announce({ port: 1, numWant: 1e9 }), 0).ipv4.length, 5);
    assert.equal(store.announce(announce({ port: 1, numWant: 0 }), 0).ipv4.length, 0);
  });

  it('stops storing at its limits, but answers and says so', () => {
    const store = new SwarmStore({ ...DEFAULT_LIMITS, peers: 6, peersPerSwarm: 4, peersPerAddress: 3 });
    for (let port = 1; port <= 3; port++) assert.equal(store.announce(announce({ port }), 0).refusal, undefined);
    const address = store.announce(announce({ port: 4 }), 0);
    assert.equal(address.refusal, 'address-full');
    assert.equal(address.ipv4.length, 3);
    const other = { address: Uint8Array.of(10, 0, 0, 2) };
    assert.equal(store.announce(announce({ ...other, port: 1 }), 0).refusal, undefined);
    assert.equal(store.announce(announce({ ...other, port: 2 }), 0).refusal, 'swarm-full');
    const elsewhere = { ...other, infoHash: 'b'.repeat(20) };
    store.announce(announce({ ...elsewhere, port: 1 }), 0);
    store.announce(announce({ ...elsewhere, port: 2 }), 0);
    const full = store.announce(announce({ infoHash: 'c'.repeat(20), address: v6(1) }), 0);
    assert.equal(full.refusal, 'tracker-full');
    assert.deepEqual(store.counts, { swarms: 2, peers: 6, seeds: 0 });
    // Known peers stay welcome, and leaving makes room.
    assert.equal(store.announce(announce({ port: 1 }), 0).refusal, undefined);
    store.announce(announce({ port: 1, event: 'stopped' }), 0);
    assert.equal(store.announce(announce({ port: 9 }), 0).refusal, undefined);
  });

  it('counts an IPv6 /64 as one address, and does not count loopback', () => {
    const store = new SwarmStore({ ...DEFAULT_LIMITS, peersPerAddress: 2 });
    assert.equal(store.announce(announce({ address: v6(1) }), 0).refusal, undefined);
    assert.equal(store.announce(announce({ address: v6(2) }), 0).refusal, undefined);
    assert.equal(store.announce(announce({ address: v6(3) }), 0).refusal, 'address-full');
    const local = Uint8Array.of(127, 0, 0, 1);
    for (let port = 1; port <= 9; port++) {
      assert.equal(store.announce(announce({ address: local, port }), 0).refusal, undefined);
    }
  });

  it('samples distinct peers, every one of them sooner or later', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.integer({ min: 0, max: 60 }),
        fc.integer({ min: 1, max: 70 }),
        (leechers, seeds, numWant) => {
          const store = new SwarmStore(DEFAULT_LIMITS);
          for (let port = 1; port <= leechers + seeds; port++)
            store.announce(announce({ port, seed: port > leechers }), 0);
          const seen = new Set<number>();
          for (let i = 0; i < 3; i++) {
            const found = ports(store, store.announce(announce({ port: 1, numWant }), 0).ipv4);
            assert.equal(found.length, Math.min(numWant, leechers + seeds - 1));
            assert.equal(new Set(found).size, found.length);
            assert.ok(!found.includes(1));
            for (const port of found) seen.add(port);
          }
          assert.ok(seen.size <= leechers + seeds - 1);
        },
      ),
    );
    let turn = 0;
    const store = new SwarmStore(DEFAULT_LIMITS, () => (turn++ % 100) / 100);
    for (let port = 1; port <= 100; port++) store.announce(announce({ port }), 0);
    const seen = new Set<number>();
    turn = 0;
    for (let i = 0; i < 100; i++)
      for (const port of ports(store, store.announce(announce({ port: 0, numWant: 3 }), 0).ipv4)) seen.add(port);
    assert.equal(seen.size, 100);
  });

  it('keeps its books under any sequence of announces and expiries', () => {
    const step = fc.record({
      hash: fc.nat(3),
      host: fc.nat(3),
      ipv6: fc.boolean(),
      port: fc.nat(4),
      seed: fc.boolean(),
      event: fc.constantFrom<Announce['event']>('none', 'started', 'completed', 'stopped'),
      expire: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const store = new SwarmStore({ ...DEFAULT_LIMITS, peersPerAddress: 8 });
        const model = new Map<string, { hash: string; seed: boolean; seen: number }>();
        for (const [now, { hash, host, ipv6, port, seed, event, expire }] of steps.entries()) {
          const infoHash = String(hash).repeat(20);
          const address = ipv6 ? v6(host) : Uint8Array.of(10, 0, 0, host);
          const key = `${hash} ${host} ${ipv6} ${port}`;
          const { refusal } = store.announce(
            { infoHash, address, port, peerId: Buffer.alloc(20), seed, event, numWant: 9 },
            now,
          );
          if (event === 'stopped') model.delete(key);
          else if (port !== 0 && refusal === undefined) model.set(key, { hash: infoHash, seed, seen: now });
          if (expire) {
            store.expire(now - 20, 1000);
            for (const [name, peer] of model) if (peer.seen < now - 20) model.delete(name);
          }
          const peers = [...model.values()];
          assert.deepEqual(store.counts, {
            swarms: new Set(peers.map((peer) => peer.hash)).size,
            peers: peers.length,
            seeds: peers.filter((peer) => peer.seed).length,
          });
        }
      }),
    );
  });
});
