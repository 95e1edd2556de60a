import assert from 'node:assert/strict';
import { SendBuffers } from '../../../src/bittorrent/send-buffers.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
/** Bytes for headers. */
const ROOM = 832;

/** The same memory, not a view of it. */
function isSame(a: Buffer, b: Buffer): boolean {
  return a.buffer === b.buffer && a.length === b.length;
}

describe('SendBuffers', () => {
  it('uses the same memory again for batches of about one size, large and small', () => {
    const buffers = new SendBuffers(ROOM);
    for (const content of [16 * KIB, 64 * KIB, 100 * KIB, 256 * KIB, MIB]) {
      const first = buffers.take(content + 13);
      buffers.give(first);
      assert(isSame(buffers.take(content + ROOM), first), `${content} bytes`);
    }
  });

  it('gives no batch much more than it needs', () => {
    const buffers = new SendBuffers(ROOM);
    for (let length = 1; length <= 3 * MIB; length = Math.ceil(length * 1.1)) {
      const buffer = buffers.take(length);
      assert(buffer.length >= length);
      assert(buffer.length <= length * 1.25 + ROOM, `${buffer.length} bytes for ${length}`);
      buffers.give(buffer);
    }
  });

  it('keeps little of what is given back, and that of the sizes used last', () => {
    const buffers = new SendBuffers(0);
    const small = Array.from({ length: 100 }, () => buffers.take(64 * KIB));
    for (const buffer of small) buffers.give(buffer);
    const large = Array.from({ length: 30 }, () => buffers.take(MIB));
    for (const buffer of large) buffers.give(buffer);
    const isReused = (buffer: Buffer): boolean => [...small, ...large].some((other) => isSame(buffer, other));
    assert.equal(Array.from({ length: 100 }, () => buffers.take(64 * KIB)).filter(isReused).length, 0);
    assert.equal(Array.from({ length: 30 }, () => buffers.take(MIB)).filter(isReused).length, 8);
  });

  it('gives shared memory to whom it is to be shared with only, and keeps no more for both kinds', () => {
    const buffers = new SendBuffers(0);
    const isShared = ({ buffer }: Buffer): boolean => buffer instanceof SharedArrayBuffer;
    const own = Array.from({ length: 8 }, () => buffers.take(MIB));
    const shared = Array.from({ length: 5 }, () => buffers.take(MIB, true));
    assert(!own.some(isShared) && shared.every(isShared));
    for (const buffer of [...own, ...shared]) buffers.give(buffer);
    const again = Array.from({ length: 8 }, () => buffers.take(MIB));
    assert(!again.some(isShared));
    assert.equal(again.filter((buffer) => own.some((other) => isSame(buffer, other))).length, 3);
    const sharedAgain = Array.from({ length: 5 }, () => buffers.take(MIB, true));
    assert(sharedAgain.every((buffer) => shared.some((other) => isSame(buffer, other))));
  });

  it('lets all of it go', () => {
    const buffers = new SendBuffers(0);
    for (const shared of [false, true]) {
      const first = buffers.take(MIB, shared);
      buffers.give(first);
      buffers.trim();
      assert(!isSame(buffers.take(MIB, shared), first));
    }
  });
});
