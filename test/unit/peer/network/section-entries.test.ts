import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ShareEntry, SignedSection } from '../../../../src/peer/network/catalogue.ts';
import { decodeSection, signSection } from '../../../../src/peer/network/catalogue.ts';
import { keyOf } from '../../../../src/peer/network/catalogue-store.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { hold, section, share, testNode, testPeer } from './support.ts';

const peer = testPeer();
const other = testPeer();
const pool = Array.from({ length: 40 }, (_, i) => share({ name: `share ${i}` }));

function signed(shares: readonly ShareEntry[], sequence: number, to?: typeof peer.device): SignedSection {
  const audience = to === undefined ? {} : { to: [to] };
  const fields = { shares: shares.map((entry) => ({ ...entry, ...audience })), sequence, ...audience };
  const holds = shares.slice(0, 5).map((entry) => ({ ...hold(entry, other.device), ...audience }));
  return signSection(section(peer, { ...fields, holds }), peer.identity, Buffer.from(peer.device));
}

describe('a section that follows another', () => {
  it('reads the same, whatever came, went, changed or moved', () => {
    const chosen = fc.uniqueArray(fc.nat(pool.length - 1), { maxLength: 40 });
    const versions = fc.array(fc.record({ chosen, changed: fc.nat(3), limited: fc.boolean() }), { maxLength: 6 });
    fc.assert(
      fc.property(versions, (steps) => {
        let before: SignedSection | undefined;
        for (const [sequence, step] of steps.entries()) {
          const shares = step.chosen.map((i) => ({
            ...(pool[i] ?? assert.fail()),
            version: i % 4 === step.changed ? sequence + 2 : 1,
          }));
          const { bytes } = signed(shares, sequence, step.limited ? other.device : undefined);
          const decoded = decodeSection(bytes, before);
          assert.deepEqual(decoded, decodeSection(bytes));
          before = decoded;
        }
      }),
    );
  });

  it('keeps the entries whose bytes are the same', () => {
    const first = decodeSection(signed(pool, 1).bytes);
    const changed = pool.map((entry, i) => (i === 20 ? { ...entry, version: 2 } : entry));
    const second = decodeSection(signed([...changed.slice(0, 10), share(), ...changed.slice(11)], 2).bytes, first);
    const kept = second.section.shares.filter((entry) => first.section.shares.includes(entry));
    assert.equal(kept.length, pool.length - 2);
  });

  it('refuses every one-bit change, also of what it has seen before', () => {
    const { store } = testNode(new VirtualClock(), undefined, other);
    const first = signed(pool.slice(0, 3), 1);
    const key = keyOf(first.section);
    assert.equal(store.offer(first.bytes, key).kind, 'new');
    const { bytes } = signed(pool.slice(0, 4), 2);
    for (let bit = 0; bit < bytes.length * 8; bit += 5) {
      const mutant = Buffer.from(bytes);
      mutant[bit >> 3] = (mutant[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.notEqual(store.offer(mutant, key).kind, 'new', `bit ${bit & 7} of byte ${bit >> 3}`);
    }
    assert.equal(store.offer(bytes, key).kind, 'new');
  });

  it('is not taken for another because its sender calls it so', () => {
    const { store } = testNode(new VirtualClock(), undefined, other);
    const first = signed(pool, 1);
    store.offer(first.bytes, keyOf(first.section));
    const limited = signed(pool, 2, other.device);
    assert.equal(store.offer(limited.bytes, keyOf(first.section)).kind, 'new');
    assert.deepEqual(store.get(keyOf(limited.section))?.section.shares[0]?.to, [other.device]);
    assert.equal(store.get(keyOf(first.section))?.section.shares[0]?.to, undefined);
  });
});
