import assert from 'node:assert/strict';
import { formatAge, formatDuration, formatTable, plural, safeText } from '../../../src/cli/text.ts';
import { formatBytes } from '../../../src/common/format-bytes.ts';

describe('text for terminals', () => {
  it('makes names harmless', () => {
    assert.equal(safeText('a\u001b[31mred\u001b[0m'), 'a\ufffd[31mred\ufffd[0m');
    assert.equal(safeText('line\nbreak\r\ttab\u0000'), 'line\ufffdbreak\ufffd\ufffdtab\ufffd');
    assert.equal(safeText('txt.\u202eexe\u2066\u200b\ufeff\u009b'), 'txt.\ufffdexe\ufffd\ufffd\ufffd\ufffd');
    assert.equal(safeText('Zoë 👩‍💻 日本'), 'Zoë 👩\ufffd💻 日本');
  });

  it('aligns columns and leaves no spaces at the end', () => {
    const table = formatTable(
      ['NAME', 'SIZE'],
      [
        ['ä', '1 KB'],
        ['longer\n', '2'],
      ],
    );
    assert.equal(table, 'NAME     SIZE\nä        1 KB\nlonger\ufffd  2');
  });

  it('formats sizes', () => {
    const cases = [
      [0, '0 B'],
      [999, '999 B'],
      [1000, '1 KB'],
      [3_140_000, '3.1 MB'],
      [48_400_000, '48 MB'],
      [999_500, '1 MB'],
      [1e15, '1 PB'],
      [-5, '0 B'],
    ] as const;
    for (const [bytes, expected] of cases) assert.equal(formatBytes(bytes), expected);
  });

  it('formats durations', () => {
    const cases = [
      [0, '0 s'],
      [840, '0.8 s'],
      [12_400, '12 s'],
      [59_600, '1 min 0 s'],
      [185_000, '3 min 5 s'],
      [7_800_000, '2 h 10 min'],
    ] as const;
    for (const [duration, expected] of cases) assert.equal(formatDuration(duration), expected);
  });

  it('formats ages', () => {
    const cases = [
      [-5000, 'now'],
      [30_000, 'now'],
      [120_000, '2 min'],
      [3 * 3_600_000, '3 h'],
      [47 * 3_600_000, '47 h'],
      [72 * 3_600_000, '3 days'],
    ] as const;
    for (const [age, expected] of cases) assert.equal(formatAge(1e12 - age, 1e12), expected);
  });

  it('counts', () => {
    assert.deepEqual(
      [plural(1, 'file'), plural(0, 'file'), plural(2000, 'entry', 'entries')],
      ['1 file', '0 files', '2,000 entries'],
    );
  });
});
