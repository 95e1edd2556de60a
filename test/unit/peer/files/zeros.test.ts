import assert from 'node:assert/strict';
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs';
import { isAllZero, leaveHole } from '../../../../src/peer/files/zeros.ts';
import { useTempDir } from '../../temp-dir.ts';

const KIB = 1024;

describe('zeros', () => {
  const temp = useTempDir();
  let descriptor: number | undefined;
  afterEach(() => {
    if (descriptor !== undefined) closeSync(descriptor);
    descriptor = undefined;
  });

  function open(content: Buffer, flags = 'r+'): number {
    descriptor = openSync(temp.file('file', content), flags);
    return descriptor;
  }

  it('are told from everything else, wherever that is', () => {
    for (const size of [0, 1, 64 * KIB, 64 * KIB + 1, 200 * KIB]) {
      const bytes = Buffer.alloc(size);
      assert.equal(isAllZero(bytes), true, `${size} bytes`);
      for (const at of [0, size >> 1, size - 1].filter((place) => place >= 0 && place < size)) {
        bytes[at] = 1;
        assert.equal(isAllZero(bytes), false, `byte ${at} of ${size}`);
        bytes[at] = 0;
      }
    }
  });

  it('need not be written behind the end of a file, which gets its whole size', () => {
    const file = open(Buffer.from('abc'));
    assert.equal(leaveHole(file, 100 * KIB, 50 * KIB, 200 * KIB), true);
    assert.equal(fstatSync(file).size, 200 * KIB);
    assert.ok(
      readFileSync(file)
        .subarray(3)
        .equals(Buffer.alloc(200 * KIB - 3)),
    );
  });

  it('need not be written where there are zeros, and must be over anything else', () => {
    const content = Buffer.alloc(200 * KIB);
    content[150 * KIB] = 7;
    const file = open(content);
    assert.equal(leaveHole(file, 0, 150 * KIB, 200 * KIB), true);
    assert.equal(leaveHole(file, 0, 150 * KIB + 1, 200 * KIB), false);
    assert.equal(leaveHole(file, 150 * KIB, 50 * KIB, 200 * KIB), false);
    assert.ok(readFileSync(`${temp.path}/file`).equals(content), 'nothing is written either way');
  });

  it('are left to writing, which says what is wrong, where the file cannot be made longer', () => {
    assert.equal(leaveHole(open(Buffer.from('abc'), 'r'), 0, 10, 10), false);
  });
});
