import assert from 'node:assert/strict';
import fc from 'fast-check';
import { NONE, PeerPool } from '../../../tracker/peer-pool.ts';

const ID = Buffer.alloc(20, 1);

function entriesInOrder(pool: PeerPool): number[] {
  const slots: number[] = [];
  while (pool.oldest !== NONE) {
    slots.push(pool.oldest);
    pool.remove(pool.oldest);
  }
  return slots;
}

describe('PeerPool', () => {
  it('finds a peer by swarm, address and port only', () => {
    const pool = new PeerPool();
    const v4 = Uint8Array.of(1, 2, 3, 4);
    const v6 = Uint8Array.of(1, 2, 3, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    const slot = pool.add(5, v4, 6881, ID, 0);
    assert.equal(pool.find(5, v4, 6881), slot);
    assert.equal(pool.find(6, v4, 6881), NONE);
    assert.equal(pool.find(5, v4, 6882), NONE);
    assert.equal(pool.find(5, Uint8Array.of(1, 2, 3, 5), 6881), NONE);
    assert.equal(pool.find(5, v6, 6881), NONE);
    pool.remove(slot);
    assert.equal(pool.find(5, v4, 6881), NONE);
  });

  it('writes the entries of BEP 23 and BEP 7', () => {
    const pool = new PeerPool();
    const four = pool.add(1, Uint8Array.of(10, 0, 0, 7), 0x1ae1, ID, 0);
    const six = pool.add(
      1,
      Uint8Array.from({ length: 16 }, (_, i) => i),
      0xfffe,
      Buffer.alloc(20, 9),
      0,
    );
    const out = Buffer.alloc(24);
    assert.equal(pool.copyEntry(six, out, pool.copyEntry(four, out, 0)), 24);
    assert.equal(out.toString('hex'), '0a0000071ae1000102030405060708090a0b0c0d0e0ffffe');
    assert.equal(pool.port(four), 0x1ae1);
    assert.equal(pool.port(six), 0xfffe);
    assert.deepEqual([...pool.address(four)], [10, 0, 0, 7]);
    assert.equal(pool.address(six).length, 16);
    assert.equal(pool.peerId(six)[19], 9);
    assert.deepEqual([pool.isIpv6(four), pool.isIpv6(six)], [false, true]);
  });

  it('keeps slots in order of their last announce', () => {
    const pool = new PeerPool();
    const [a, b, c, d] = [1, 2, 3, 4].map((port) => pool.add(0, Uint8Array.of(1, 1, 1, 1), port, ID, port)) as [
      number,
      number,
      number,
      number,
    ];
    pool.touch(a, ID, 5);
    pool.touch(c, ID, 6);
    pool.touch(c, ID, 7);
    pool.remove(d);
    assert.equal(pool.seen(c), 7);
    assert.deepEqual(entriesInOrder(pool), [b, a, c]);
  });

  it('behaves like a map under any sequence of adding and removing', () => {
    const key = fc.record({
      swarm: fc.nat(3),
      host: fc.nat(40),
      port: fc.integer({ min: 1, max: 40 }),
      v6: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), key), { maxLength: 400 }), (steps) => {
        const pool = new PeerPool();
        const model = new Map<string, number>();
        for (const [add, { swarm, host, port, v6 }] of steps) {
          const address = new Uint8Array(v6 ? 16 : 4);
          address[address.length - 1] = host;
          const name = `${swarm} ${host} ${port} ${v6}`;
          const slot = pool.find(swarm, address, port);
          assert.equal(slot, model.get(name) ?? NONE);
          if (add && slot === NONE) model.set(name, pool.add(swarm, address, port, ID, 0));
          if (!add && slot !== NONE) {
            pool.remove(slot);
            model.delete(name);
          }
          assert.equal(pool.count, model.size);
        }
        assert.deepEqual(entriesInOrder(pool).sort(), [...model.values()].sort());
        assert.equal(pool.count, 0);
      }),
      { numRuns: 200 },
    );
  });

  it('reuses slots and survives growing', () => {
    const pool = new PeerPool();
    const address = Uint8Array.of(9, 9, 9, 9);
    for (let port = 1; port <= 5000; port++) pool.add(0, address, port, ID, port);
    for (let port = 1; port <= 5000; port += 2) pool.remove(pool.find(0, address, port));
    const slots = new Set<number>();
    for (let port = 1; port <= 5000; port++) {
      const slot = pool.find(0, address, port);
      assert.equal(slot === NONE, port % 2 === 1);
      if (slot !== NONE) {
        assert.equal(pool.port(slot), port);
        slots.add(slot);
      }
    }
    assert.equal(slots.size, 2500);
    for (let port = 1; port <= 5000; port += 2) assert.ok(pool.add(0, address, port, ID, 0) < 8192);
    assert.equal(pool.count, 5000);
  });
});
