import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { encode } from '../../../../src/bittorrent/bencode.ts';
import { sha256 } from '../../../../src/bittorrent/merkle.ts';
import { deviceIdFromHash, networkIdFromBytes } from '../../../../src/common/ids.ts';
import { certify } from '../../../../src/peer/trust/enter-network.ts';
import { decodeStatements, MAX_STATEMENTS } from '../../../../src/peer/trust/statement-set.ts';
import { MAX_SIGNERS, Statements } from '../../../../src/peer/trust/statements.ts';
import { createIdentity } from '../../../../src/transport/identity.ts';

describe('statements', () => {
  const root = createIdentity();
  const network = networkIdFromBytes(sha256(root.spki));
  const make = (): Statements => new Statements(network, root.spki);
  const device = (seed: number) => deviceIdFromHash(Buffer.alloc(32, seed));
  const target = (seed: number) => ({ kind: 'device', device: device(seed) }) as const;

  function revoking(...seeds: number[]): Statements {
    const revocations = make();
    for (const seed of seeds) revocations.revoke(target(seed), 1000 + seed, { root: root.sign });
    return revocations;
  }

  it('merge in any order to the same set', () => {
    const [one, two, three] = [revoking(1), revoking(2, 3), revoking(3, 1)];
    const [a, b] = [make(), make()];
    for (const set of [one, two, three]) a.merge(set.encode());
    for (const set of [three, two, one, two]) b.merge(set.encode());
    assert.equal(a.head, b.head);
    for (const seed of [1, 2, 3]) assert.ok(a.isRevoked(device(seed)));
    assert.ok(!a.isRevoked(device(4)));
    assert.equal(a.dateOf(target(2)), 1002);
  });

  it('only grow: an older set takes nothing back', () => {
    const now = revoking(1, 2);
    const head = now.head;
    assert.deepEqual(now.merge(revoking(1).encode()), []);
    assert.deepEqual(now.merge(make().encode()), []);
    assert.equal(now.head, head);
  });

  it('say what was new', () => {
    assert.deepEqual(revoking(1).merge(revoking(1, 2).encode()), [device(2)]);
  });

  it('settle on one statement when two windows of the creator revoke the same device', () => {
    const [early, late] = [make(), make()];
    early.revoke(target(1), 500, { root: root.sign });
    late.revoke(target(1), 600, { root: root.sign });
    assert.notEqual(early.head, late.head);
    assert.deepEqual([early.merge(late.encode()), late.merge(early.encode())], [[], []]);
    assert.deepEqual([early.dateOf(target(1)), late.dateOf(target(1))], [500, 500]);
    assert.equal(early.head, late.head);
  });

  it('know invites from devices', () => {
    const revocations = make();
    const id = randomBytes(32);
    revocations.revoke({ kind: 'invite', invite: id.toString('hex') }, 1, { root: root.sign });
    assert.ok(!revocations.isRevoked(deviceIdFromHash(id)));
    const again = make();
    again.merge(revocations.encode());
    assert.equal(again.dateOf({ kind: 'invite', invite: id.toString('hex') }), 1);
  });

  it('by anyone but the root key are refused, with all that came along', () => {
    const impostor = new Statements(network, root.spki);
    impostor.revoke(target(1), 1, { root: root.sign });
    impostor.revoke(target(2), 2, { root: createIdentity().sign });
    const revocations = make();
    assert.throws(() => revocations.merge(impostor.encode()), { code: 'not-admitted' });
    assert.ok(!revocations.isRevoked(device(1)));
  });

  it('of another network are refused', () => {
    const other = new Statements(networkIdFromBytes(randomBytes(32)), root.spki);
    other.revoke(target(1), 1, { root: root.sign });
    assert.throws(() => make().merge(other.encode()), { code: 'not-admitted' });
  });

  it('that are malformed are refused', () => {
    const good = revoking(1).encode();
    for (const bytes of [
      Buffer.alloc(0),
      good.subarray(0, -1),
      Buffer.concat([good, good]),
      encode({ v: 2, r: [] }),
      encode({ v: 1 }),
      encode({ v: 1, r: [{ b: '', s: Buffer.alloc(64) }] }),
      encode({ v: 1, r: [{ b: encode({ k: 'planet', t: 1, x: Buffer.alloc(32) }), s: Buffer.alloc(64) }] }),
      encode({ v: 1, r: [{ b: encode({ k: 'device', t: -1, x: Buffer.alloc(32) }), s: Buffer.alloc(64) }] }),
      encode({ v: 1, r: [{ b: encode({ k: 'device', t: 1, x: Buffer.alloc(31) }), s: Buffer.alloc(64) }] }),
      Buffer.alloc(MAX_STATEMENTS + 1),
    ]) {
      assert.throws(() => make().merge(bytes), { code: 'bad-encoding' });
    }
  });

  it('have room for the root key’s word, whoever signs in with ever other devices to have its say', () => {
    const sybils = Array.from({ length: MAX_SIGNERS + 40 }, (_, index) => {
      const identity = createIdentity();
      const { member, signed } = certify(
        network,
        { spki: identity.spki, inviter: device(9), date: 1000 + index },
        root.sign,
      );
      return { sign: identity.sign, member, signed };
    });
    const sets = sybils.map((signer) => {
      const set = make();
      set.revoke({ kind: 'invite', invite: randomBytes(32).toString('hex') }, 1, signer);
      return set.encode();
    });
    const [one, two] = [make(), make()];
    for (const set of sets) one.merge(set);
    for (const set of sets.toReversed()) two.merge(set);
    // Those who are members the longest, whatever came first.
    assert.equal(one.head, two.head);
    for (const set of [one, two]) {
      const { certificates, byDevice } = decodeStatements(set.encode());
      assert.deepEqual([certificates.length, byDevice.length], [MAX_SIGNERS, MAX_SIGNERS]);
      assert.ok(certificates.every(({ member }) => member.date < 1000 + MAX_SIGNERS));
    }
    one.merge(revoking(1).encode());
    two.merge(one.encode());
    assert.ok(two.isRevoked(device(1)));
  });
});
