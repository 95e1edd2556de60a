import assert from 'node:assert/strict';
import { formatBytes } from '../../../src/common/format-bytes.ts';
import {
  countFiles,
  formatAge,
  formatCount,
  formatDuration,
  formatRate,
  formatTimeLeft,
  percent,
  progressBar,
} from '../../../src/extension/format.ts';
import { english as t } from '../../../src/extension/translate.ts';

describe('format', () => {
  it('writes sizes with two digits and never rounds into the next unit', () => {
    const cases: [number, string][] = [
      [0, '0 B'],
      [999, '999 B'],
      [1000, '1 KB'],
      [3141, '3.1 KB'],
      [9949, '9.9 KB'],
      [9960, '10 KB'],
      [999_499, '999 KB'],
      [999_500, '1 MB'],
      [3_100_000, '3.1 MB'],
      [48_000_000, '48 MB'],
      [12_500_000_000, '13 GB'],
      [Number.MAX_SAFE_INTEGER, '9 PB'],
      [-1, '0 B'],
    ];
    for (const [bytes, text] of cases) assert.equal(formatBytes(bytes), text, String(bytes));
    assert.equal(formatRate(48_000_000), '48 MB/s');
    assert.equal(formatCount(1902), '1,902');
  });

  it('writes durations with at most two units, and never zero', () => {
    const cases: [number, string][] = [
      [0, '1 s'],
      [12_000, '12 s'],
      [59_400, '1 min'],
      [200_000, '3 min 20 s'],
      [3_600_000, '1 h'],
      [3_900_000, '1 h 5 min'],
      [50 * 3_600_000, '2 days'],
    ];
    for (const [duration, text] of cases) assert.equal(formatDuration(t, duration), text, String(duration));
  });

  it('leaves the seconds out of longer estimates', () => {
    assert.equal(formatTimeLeft(t, 12_000), '12 s');
    assert.equal(formatTimeLeft(t, 198_000), '4 min');
  });

  it('tells ages, also by a clock that runs ahead', () => {
    const now = 1_700_000_000_000;
    const ago = (minutes: number) => formatAge(t, now - minutes * 60_000, now);
    assert.deepEqual([-5, 0, 2, 59, 60, 60 * 23, 60 * 24, 60 * 24 * 9].map(ago), [
      'just now',
      'just now',
      '2 min ago',
      '59 min ago',
      '1 h ago',
      '23 h ago',
      'yesterday',
      '9 days ago',
    ]);
  });

  it('fills the bar only when all is there', () => {
    assert.equal(progressBar(0, 4), '▱▱▱▱');
    assert.equal(progressBar(0.5, 4), '▰▰▱▱');
    assert.equal(progressBar(0.9999, 4), '▰▰▰▱');
    assert.equal(progressBar(1, 4), '▰▰▰▰');
    assert.deepEqual([percent(0, 0), percent(999, 1000), percent(1000, 1000)], [0, 99, 100]);
  });

  it('counts in the singular and the plural', () => {
    assert.equal(countFiles(t, 1), '1 file');
    assert.equal(countFiles(t, 0), '0 files');
    assert.equal(countFiles(t, 20_000), '20,000 files');
  });
});
