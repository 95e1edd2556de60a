import assert from 'node:assert/strict';
import { findShare, unknownShare } from '../../../src/cli/find-share.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import type { ShareId } from '../../../src/common/ids.ts';
import { shareInfo } from './fake-api.ts';

const id = (letter: string): ShareId => letter.repeat(26) as ShareId;
const shares = [
  shareInfo({ share: id('a'), name: 'notes.txt', ownerName: 'ann' }),
  shareInfo({ share: id('b'), name: 'notes.txt', ownerName: 'bob' }),
  shareInfo({ share: id('c'), name: 'Report.pdf', ownerName: 'cem' }),
  // Somebody names a share like another's id: the id wins.
  shareInfo({ share: id('d'), name: id('a'), ownerName: 'eve' }),
];

describe('findShare', () => {
  it('finds by id, then by name', () => {
    assert.equal(findShare(shares, id('a'))?.ownerName, 'ann');
    assert.equal(findShare(shares, 'Report.pdf')?.ownerName, 'cem');
    assert.equal(findShare(shares, 'report.pdf'), undefined);
    assert.equal(findShare([], 'x'), undefined);
  });

  it('lists who is meant when a name is not enough', () => {
    assert.throws(
      () => findShare(shares, 'notes.txt'),
      (error) => {
        assert.ok(error instanceof PeerwireError);
        assert.equal(error.code, 'ambiguous');
        assert.match(
          error.message,
          new RegExp(`^2 shares .*${id('a')} \\(notes.txt, 1.2 KB, from ann\\), ${id('b')} .*from bob`),
        );
        return true;
      },
    );
  });

  it('offers what is similar, else everything, but not endlessly', () => {
    assert.match(
      unknownShare(shares, 'report').message,
      /No share “report” is known\. Known shares: c{26} \(Report\.pdf[^,]*, [^,]*, from cem\)\.$/,
    );
    assert.match(unknownShare(shares, 'zzz').message, /from ann.*from bob.*from cem.*from eve/);
    const many = Array.from({ length: 9 }, (_, i) => shareInfo({ name: `file ${i}` }));
    assert.match(unknownShare(many, 'zzz').message, /file 4.* and 4 more\.$/);
    assert.match(unknownShare([], 'zzz').message, /No shares are known here\.$/);
  });
});
