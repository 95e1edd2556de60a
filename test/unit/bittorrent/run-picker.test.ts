import assert from 'node:assert/strict';
import { Bitfield } from '../../../src/bittorrent/bitfield.ts';
import type { Info } from '../../../src/bittorrent/metainfo.ts';
import type { PeerSession } from '../../../src/bittorrent/peer-session.ts';
import { PiecePicker } from '../../../src/bittorrent/piece-picker.ts';
import { RequestQueue } from '../../../src/bittorrent/request-queue.ts';
import { RunPicker } from '../../../src/bittorrent/run-picker.ts';
import { systemClock } from '../../../src/common/clock.ts';
import { build } from './support.ts';

const KIB = 1024;

/** As much of a session as is looked at. */
function sessionWith(pieces: Bitfield): PeerSession {
  const requests = new RequestQueue<PeerSession>(systemClock);
  return { requests, has: (piece: number) => pieces.has(piece) } as unknown as PeerSession;
}

describe('run picker', () => {
  /** Pieces 0–3 small, 4–6 of a large file, 7–11 small, 12 of a file of more than a block, 13 small. */
  const sizes = [1000, 2000, 0, 3000, 16_384, 40 * KIB, 5, 6, 7, 8, 9, 16_385, 10];
  let info: Info;
  let picker: PiecePicker;
  let have: Bitfield;
  let session: PeerSession;
  before(() => {
    const files = sizes.map((size, index) => ({ path: [`f${String(index).padStart(2, '0')}`], size }));
    info = build('runs', 16 * KIB, files, false).info;
  });
  beforeEach(() => {
    picker = new PiecePicker(info.pieceCount, () => 0);
    for (let piece = 0; piece < info.pieceCount; piece++) picker.add(piece);
    have = new Bitfield(info.pieceCount);
    have.fill();
    session = sessionWith(have);
  });

  const all = (runs: RunPicker, limit: number, now = 0): [number, number, number][] => {
    const taken: [number, number, number][] = [];
    for (let place = runs.take(session, limit, now); place; place = runs.take(session, limit, now))
      taken.push([place.first, place.count, place.length]);
    return taken;
  };

  it('takes whole files of one block that lie together, and nothing else', () => {
    const runs = new RunPicker(info, picker, () => 0);
    assert.deepEqual(all(runs, 256 * KIB), [
      [0, 4, 22_384],
      [7, 5, 35],
    ]);
    assert.deepEqual(
      Array.from({ length: info.pieceCount }, (_, piece) => picker.isOpen(piece)),
      [...[0, 1, 2, 3].map(() => false), true, true, true, ...[7, 8, 9, 10, 11].map(() => false), true, true, true],
    );
    assert.equal(runs.taken, 9);
    assert.ok(runs.has(3) && !runs.has(4));
  });

  it('takes no more than the limit, and no single file', () => {
    assert.deepEqual(all(new RunPicker(info, picker, () => 0), 3000), [
      [0, 2, 3000],
      [7, 5, 35],
    ]);
  });

  it('begins anywhere and comes to all', () => {
    const taken = all(new RunPicker(info, picker, () => 0.6), 256 * KIB);
    assert.deepEqual(taken, [
      [9, 3, 24],
      [0, 4, 22_384],
      [7, 2, 11],
    ]);
  });

  it('takes only what the peer has and may be asked for', () => {
    have.delete(1);
    have.delete(9);
    session.requests.keepFrom(10, 1000);
    assert.deepEqual(all(new RunPicker(info, picker, () => 0), 256 * KIB), [
      [2, 2, 19_384],
      [7, 2, 11],
    ]);
  });

  it('looks again only when something changed', () => {
    have.delete(0);
    const runs = new RunPicker(info, picker, () => 0);
    assert.equal(all(runs, 256 * KIB).length, 2);
    have.add(0);
    have.add(1);
    picker.remove(0);
    assert.deepEqual(all(runs, 256 * KIB), []);
    // A run that failed leaves its pieces to the picker.
    runs.giveBack({ first: 7, count: 5, length: 35 });
    assert.ok(!runs.has(8));
    for (let piece = 7; piece < 12; piece++) picker.add(piece);
    assert.deepEqual(all(runs, 256 * KIB), [[7, 5, 35]]);
  });

  it('leaves who refuses them alone for a while', () => {
    const runs = new RunPicker(info, picker, () => 0);
    runs.refused(session, 1000);
    assert.deepEqual(all(runs, 256 * KIB, 1001), []);
    assert.equal(all(runs, 256 * KIB, 60_000).length, 2);
  });
});
