import assert from 'node:assert/strict';
import fc from 'fast-check';
import { MAX_LISTED_CHANGES, type ShareInfo, shareKey } from '../../../src/peer/api.ts';
import { ShareChanges } from '../../../src/peer/share-changes.ts';
import { device, share } from '../extension/samples.ts';

describe('what changed of the shares', () => {
  const named = (id: number, change: Partial<ShareInfo> = {}): ShareInfo => {
    const digits = String(id)
      .padStart(4, '0')
      .replaceAll(/\d/g, (digit) => 'abcdefghij'.charAt(Number(digit)));
    return share({ share: `${'a'.repeat(21)}${digits}a` as ShareInfo['share'], ...change });
  };

  it('is not said at first, since nobody knows what the others know', () => {
    assert.deepEqual(new ShareChanges().next([named(1)]), { event: 'shares' });
  });

  it('is what is new, what is different and what is gone', () => {
    const changes = new ShareChanges();
    changes.next([named(1), named(2), named(3)]);
    const two = named(2, { sources: 9 });
    const event = changes.next([named(1), two, named(4)]);
    assert.deepEqual(event, {
      event: 'shares',
      changed: [two, named(4)],
      removed: [{ owner: named(3).owner, share: named(3).share }],
    });
    assert.deepEqual(changes.next([named(1), two, named(4)]), { event: 'shares', changed: [], removed: [] });
    // Also when only a field came or went.
    const { path: _, ...bare } = named(4, { path: 'a/b' });
    assert.equal(changes.next([named(1), two, named(4, { path: 'a/b' })]).changed?.length, 1);
    assert.equal(changes.next([named(1), two, bare]).changed?.length, 1);
  });

  it('is told of each owner by itself, though both claim the same id', () => {
    const changes = new ShareChanges();
    const [a, b] = [named(1, { owner: device('A') }), named(1, { owner: device('B') })];
    changes.next([a, b]);
    assert.deepEqual(changes.next([b]).removed, [{ owner: a.owner, share: a.share }]);
  });

  it('is not said when it is much', () => {
    const changes = new ShareChanges();
    changes.next([]);
    const many = Array.from({ length: MAX_LISTED_CHANGES + 1 }, (_, id) => named(id));
    assert.deepEqual(changes.next(many), { event: 'shares' });
    assert.equal(changes.next(many.slice(1)).removed?.length, 1);
  });

  it('leads to what is there, put into an answer of any time before', () => {
    const listing = fc.uniqueArray(fc.record({ id: fc.nat(9), sources: fc.nat(2) }), { selector: ({ id }) => id });
    fc.assert(
      fc.property(fc.array(listing, { minLength: 2, maxLength: 8 }), fc.nat(), (listings, seed) => {
        const changes = new ShareChanges();
        const all = listings.map((entries) => entries.map(({ id, sources }) => named(id, { sources })));
        // Asked right before one of the events, or right after.
        const [first, asked] = [seed % (all.length - 1), seed % 2];
        let known = new Map<string, ShareInfo>();
        for (const [i, shares] of all.entries()) {
          if (i === first && asked === 0) known = new Map(shares.map((one) => [shareKey(one), one]));
          const { changed, removed } = changes.next(shares);
          if (i > first || (i === first && asked === 0)) {
            if (changed === undefined || removed === undefined)
              known = new Map(shares.map((one) => [shareKey(one), one]));
            for (const gone of removed ?? []) known.delete(shareKey(gone));
            for (const one of changed ?? []) known.set(shareKey(one), one);
          }
          if (i === first && asked === 1) known = new Map(shares.map((one) => [shareKey(one), one]));
        }
        const last = all.at(-1) ?? [];
        assert.deepEqual(new Set(known.values()), new Set(last));
      }),
    );
  });
});
