import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { InfoHash } from '../../../../src/common/ids.ts';
import { type SignedSection, signSection } from '../../../../src/peer/network/catalogue.ts';
import { CatalogueIndex } from '../../../../src/peer/network/catalogue-index.ts';
import { keyOf } from '../../../../src/peer/network/catalogue-store.ts';
import { peerKey } from '../../../../src/peer/network/channel.ts';
import { hold, section, share, testPeer } from './support.ts';

describe('CatalogueIndex', () => {
  it('says after any changes what one says that was built anew', () => {
    const peers = [testPeer(), testPeer(), testPeer()];
    const pool = Array.from({ length: 6 }, () => share());
    const change = fc.record({
      who: fc.nat(peers.length - 1),
      limited: fc.boolean(),
      gone: fc.boolean(),
      shares: fc.subarray(pool),
      holds: fc.subarray(pool),
      asks: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
        const sections = new Map<string, SignedSection>();
        const index = new CatalogueIndex(() => sections.values());
        for (const [sequence, { who, limited, gone, shares, holds, asks }] of changes.entries()) {
          const peer = peers[who] ?? assert.fail();
          const owner = peers[0] ?? assert.fail();
          const to = limited ? { to: [testPeer().device] } : {};
          const fields = { sequence, shares, holds: holds.map((entry) => hold(entry, owner.device, sequence % 2 > 0)) };
          const signed = signSection(section(peer, { ...fields, ...to }), peer.identity, Buffer.alloc(1));
          if (gone) sections.delete(keyOf(signed.section));
          else sections.set(keyOf(signed.section), signed);
          index.invalidate(peer);
          if (!asks) continue;
          const anew = new CatalogueIndex(() => sections.values());
          for (const other of peers) anew.invalidate(other);
          assert.deepEqual(sorted(index.catalogues()), sorted(anew.catalogues()));
          const holders = (from: CatalogueIndex, infohash: InfoHash) =>
            from.holdersOf(infohash).map((found) => `${peerKey(found.peer)} ${found.complete}`);
          for (const { infohash } of pool) {
            assert.deepEqual(holders(index, infohash).sort(), holders(anew, infohash).sort());
          }
        }
      }),
      { numRuns: 50 },
    );
  });
});

function sorted<T extends Parameters<typeof peerKey>[0]>(catalogues: readonly T[]): T[] {
  return [...catalogues].sort((a, b) => (peerKey(a) < peerKey(b) ? -1 : 1));
}
