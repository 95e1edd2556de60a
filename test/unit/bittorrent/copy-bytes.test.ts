import assert from 'node:assert/strict';
import { copyBytes } from '../../../src/bittorrent/copy-bytes.ts';

describe('copyBytes', () => {
  const source = Buffer.from('0123456789');

  it('copies a part, the whole, one byte or nothing to where it belongs, and nothing beside it', () => {
    const cases: [start: number, end: number, at: number, expected: string][] = [
      [2, 5, 3, '...234......'],
      [0, 10, 1, '.0123456789.'],
      [9, 10, 11, '...........9'],
      [4, 4, 5, '............'],
    ];
    for (const [start, end, at, expected] of cases) {
      const target = Buffer.from(new SharedArrayBuffer(12)).fill('.');
      assert.equal(copyBytes(source, start, end, target, at), end - start);
      assert.equal(target.toString(), expected);
    }
  });
});
