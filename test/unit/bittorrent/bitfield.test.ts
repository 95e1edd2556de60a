import assert from 'node:assert/strict';
import { Bitfield } from '../../../src/bittorrent/bitfield.ts';
import { PeerwireError } from '../../../src/common/errors.ts';

describe('Bitfield', () => {
  it('puts piece 0 in the high bit', () => {
    const field = new Bitfield(10);
    field.add(0);
    field.add(9);
    assert.deepEqual([...field.toBytes()], [0x80, 0x40]);
    assert.deepEqual([...Bitfield.fromBytes(Buffer.from([0x80, 0x40]), 10)], [0, 9]);
  });

  it('refuses wrong sizes and spare bits', () => {
    const wrong = (bytes: number[], length: number): void => {
      assert.throws(
        () => Bitfield.fromBytes(Buffer.from(bytes), length),
        (error) => error instanceof PeerwireError && error.code === 'protocol',
      );
    };
    wrong([0xff], 9);
    wrong([0xff, 0xff, 0xff], 9);
    wrong([0xff, 0x40], 9);
    assert.ok(Bitfield.fromBytes(Buffer.from([0xff, 0x80]), 9).complete);
  });

  it('counts', () => {
    const field = new Bitfield(3).fill();
    assert.ok(field.complete);
    assert.equal(field.delete(1), true);
    assert.equal(field.delete(1), false);
    assert.equal(field.add(5), false);
    assert.equal(field.count, 2);
  });
});
