import assert from 'node:assert/strict';
import fc from 'fast-check';
import { DEFAULT_LIMITS } from '../../tracker/limits.ts';
import { newTrackerStats } from '../../tracker/stats.ts';
import { SwarmStore } from '../../tracker/swarm-store.ts';
import { UdpRoutes } from '../../tracker/udp-routes.ts';

const RUNS = Number(process.env.FUZZ_RUNS ?? 20_000);
const SEED = Number(process.env.FUZZ_SEED ?? Date.now() & 0x7fffffff);

const address = fc.oneof(
  fc.uint8Array({ minLength: 4, maxLength: 4 }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }),
);
const packet = fc.record({
  address,
  /** Shows a connection id that it was really given. */
  connected: fc.boolean(),
  action: fc.oneof(fc.constantFrom(0, 1, 2, 3), fc.nat()),
  body: fc.oneof(
    fc.uint8Array({ maxLength: 120 }),
    fc.uint8Array({ minLength: 82, maxLength: 82 }),
    // A valid event, at its place.
    fc.uint8Array({ minLength: 82, maxLength: 82 }).map((bytes) => {
      bytes.set([0, 0, 0, (bytes[67] ?? 0) & 3], 64);
      return bytes;
    }),
    fc
      .integer({ min: 0, max: 80 })
      .chain((hashes) => fc.uint8Array({ minLength: hashes * 20, maxLength: hashes * 20 })),
  ),
  wait: fc.nat(3000),
});

describe(`fuzz: UDP tracker (FUZZ_SEED=${SEED})`, function () {
  this.timeout(300_000);

  it('answers within bounds, and strangers not at all', () => {
    const limits = { ...DEFAULT_LIMITS, peers: 300, peersPerAddress: 50 };
    const store = new SwarmStore(limits);
    const stats = newTrackerStats();
    let now = 0;
    const routes = new UdpRoutes({ store, stats, intervals: { interval: 60, minInterval: 12 }, now: () => now });
    fc.assert(
      fc.property(packet, ({ address: from, connected, action, body, wait }) => {
        now += wait;
        store.expire(now - 120_000, 1000);
        const head = Buffer.alloc(16, 0x55);
        if (connected) {
          routes.answer(Buffer.from('00000417271019800000000000000000', 'hex'), from)?.copy(head, 0, 8, 16);
        }
        head.writeUInt32BE(action, 8);
        const reply = routes.answer(Buffer.concat([head, body]), from);
        if (!connected) assert.equal(reply, undefined);
        if (reply === undefined) return;
        assert.equal(reply.readUInt32BE(0), action);
        assert.deepEqual(reply.subarray(4, 8), head.subarray(12, 16));
        assert.ok(reply.length <= 1232);
        assert.ok(store.counts.peers <= limits.peers);
      }),
      { numRuns: RUNS, seed: SEED },
    );
    assert.ok(stats.udpAnnounces > 0 && stats.udpScrapes > 0 && stats.udpDropped > 0);
  });

  it('survives any bytes', () => {
    const store = new SwarmStore(DEFAULT_LIMITS);
    const options = { store, stats: newTrackerStats(), intervals: { interval: 60, minInterval: 12 }, now: () => 0 };
    const routes = new UdpRoutes(options);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), address, (bytes, from) => {
        assert.equal(routes.answer(Buffer.from(bytes), from), undefined);
      }),
      { numRuns: RUNS, seed: SEED },
    );
    assert.equal(store.counts.peers, 0);
  });
});
