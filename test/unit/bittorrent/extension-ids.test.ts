import assert from 'node:assert/strict';
import { ExtensionIds } from '../../../src/bittorrent/extension-ids.ts';

describe('ExtensionIds', () => {
  it('knows both ends’ ids of what both know', () => {
    const ids = new ExtensionIds({ ut_metadata: 1, ut_pex: 2 });
    ids.learn({ ut_pex: 7, lt_donthave: 9 });
    assert.deepEqual([ids.nameOf(1), ids.nameOf(2), ids.nameOf(7)], ['ut_metadata', 'ut_pex', undefined]);
    assert.deepEqual(
      [ids.theirs('ut_pex'), ids.theirs('ut_metadata'), ids.theirs('lt_donthave')],
      [7, undefined, undefined],
    );
  });

  it('adds, changes and takes back what comes again, and leaves the rest', () => {
    const ids = new ExtensionIds({ ut_metadata: 1, ut_pex: 2, pw_connect: 3 });
    ids.learn({ ut_metadata: 4, ut_pex: 5 });
    ids.learn({ ut_pex: 0, pw_connect: 6 });
    assert.deepEqual([ids.theirs('ut_metadata'), ids.theirs('ut_pex'), ids.theirs('pw_connect')], [4, undefined, 6]);
    ids.learn({ ut_metadata: 8, ut_pex: 5 });
    assert.deepEqual([ids.theirs('ut_metadata'), ids.theirs('ut_pex')], [8, 5]);
  });

  it('learns nothing from what every object has', () => {
    const ids = new ExtensionIds({ constructor: 1 });
    ids.learn({});
    assert.equal(ids.theirs('constructor'), undefined);
  });
});
