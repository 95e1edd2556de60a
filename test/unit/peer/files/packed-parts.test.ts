import assert from 'node:assert/strict';
import type { FilePart } from '../../../../src/bittorrent/file-parts.ts';
import type { FileStamp } from '../../../../src/bittorrent/file-stamp.ts';
import { packParts, unpackParts } from '../../../../src/peer/files/packed-parts.ts';

describe('packed parts', () => {
  const part = (path: string, more: Partial<FilePart> = {}): FilePart => ({
    path,
    offset: 0,
    length: 7,
    at: 9,
    stamp: undefined,
    hash: undefined,
    ...more,
  });
  const stamp = '5.1000000000000000000.2.3' as FileStamp;
  const hashes = ['\0'.repeat(32), `\u00ff${'h'.repeat(31)}`];

  it('are what was packed, with stamps, hashes, both and neither in one list', () => {
    const parts = [
      part('/a'),
      part('/ü/\u{1f600} b', { offset: 2 ** 40, stamp }),
      part('', { hash: hashes[0]! }),
      part('/c', { length: 0, at: 2 ** 20 }),
      part('/d', { hash: hashes[1]!, stamp }),
      part('/e'),
    ];
    assert.deepEqual(unpackParts(structuredClone(packParts(parts))), parts);
    for (const one of parts) assert.deepEqual(unpackParts(packParts([one])), [one]);
    assert.deepEqual(unpackParts(packParts([])), []);
  });

  it('are refused rather than taken for others', () => {
    assert.throws(() => unpackParts(packParts([part('/a\0b'), part('/c')])), { code: 'internal' });
    assert.throws(() => unpackParts(packParts([part('/a', { hash: 'short' })])), { code: 'internal' });
  });
});
