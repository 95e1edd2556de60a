import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, rmSync, statSync, truncateSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import { Bitfield } from '../../../src/bittorrent/bitfield.ts';
import { createInfo, type Info, type PieceLayers } from '../../../src/bittorrent/metainfo.ts';
import type { RangeToHash } from '../../../src/peer/files/hash-in-ranges.ts';
import { HashPool } from '../../../src/peer/hash-pool.ts';
import { PieceJournal } from '../../../src/peer/piece-journal.ts';
import { StagedPieces } from '../../../src/peer/staged-pieces.ts';
import { useTempDir } from '../temp-dir.ts';
import { hashFile } from './files/hash-file.ts';
import { HASH_WORKER } from './files/hash-worker-path.ts';

const PIECE = 16_384;

/** Counts what it hashes. */
class CountingPool extends HashPool {
  hashed = 0;
  override hashPieces(ranges: readonly RangeToHash[], options: Parameters<HashPool['hashPieces']>[1]) {
    this.hashed += ranges.reduce((sum, { length }) => sum + length, 0);
    return super.hashPieces(ranges, options);
  }
}

describe('StagedPieces', () => {
  const temp = useTempDir();
  const pool = new CountingPool({ workerUrl: HASH_WORKER, size: 2 });
  after(() => pool.dispose());

  let info: Info;
  let layers: PieceLayers;
  let contents: Buffer[];
  const journals: PieceJournal[] = [];
  afterEach(() => Promise.all(journals.splice(0).map((journal) => journal.close())));
  const staged = (index: number): string => join(temp.path, `${index}`);

  /** Three files: 40 pieces and a bit; one piece; less than a piece. */
  beforeEach(async () => {
    contents = [40 * PIECE + 5, PIECE, 100].map((size) => randomBytes(size));
    const files = [];
    const map = new Map<string, Buffer>();
    for (const [index, content] of contents.entries()) {
      const path = temp.file(`${index}`, content);
      const hash = await hashFile(pool, { path, size: content.length }, { pieceLength: PIECE });
      files.push({ path: [`${index}`], length: content.length, root: hash.root });
      if (hash.root && hash.pieceLayer.length > 0) map.set(hash.root.toString('hex'), hash.pieceLayer);
    }
    info = createInfo({ name: 'share', pieceLength: PIECE, files, single: false });
    layers = map;
    pool.hashed = 0;
  });

  /** A run of a download; `pieces` are those that it was told to have. */
  async function run(signal = new AbortController().signal) {
    const journal = await PieceJournal.open(join(temp.path, 'journal'), info.pieceCount);
    journals.push(journal);
    const have = new Bitfield(info.pieceCount);
    let looked = 0;
    const onProgress = (bytes: number): void => {
      looked += bytes;
    };
    const pieces = new StagedPieces({ info, layers, stagedPath: staged, have, journal, pool, signal, onProgress });
    return { journal, have, pieces, looked: () => looked };
  }

  /** An earlier run that got these pieces, and stopped as it should or was killed. */
  async function earlier(pieces: readonly number[], end: 'stopped' | 'killed'): Promise<void> {
    const before = await run();
    await before.pieces.resume([0, 1, 2]);
    for (const piece of pieces) before.journal.add(piece);
    if (end === 'stopped') await before.pieces.seal([0, 1, 2]);
    await before.journal.close();
  }

  const all = (): number[] => Array.from({ length: info.pieceCount }, (_, piece) => piece);

  it('trusts what was sealed without reading it', async () => {
    await earlier(all(), 'stopped');
    const { have, pieces, looked } = await run();
    await pieces.resume([0, 1, 2]);
    assert.ok(have.complete);
    assert.equal(pool.hashed, 0);
    assert.equal(looked(), info.size);
  });

  it('hashes after a kill, only what was recorded, and keeps what is right', async () => {
    await earlier([0, 1, 2, 30, 40, 42], 'killed');
    const { have, pieces, looked } = await run();
    await pieces.resume([0, 1, 2]);
    assert.deepEqual([...have], [0, 1, 2, 30, 40, 42]);
    assert.equal(pool.hashed, 4 * PIECE + 5 + 100);
    assert.equal(looked(), pool.hashed);
  });

  it('seals a big file as soon as it is complete: a kill after that costs no hashing', async () => {
    const length = 17 << 20;
    const pieceLength = 1 << 20;
    const path = temp.file('0', randomBytes(length));
    const { root, pieceLayer } = await hashFile(pool, { path, size: length }, { pieceLength });
    const files = [{ path: ['0'], length, root }];
    info = createInfo({ name: 'share', pieceLength, files, single: false });
    layers = new Map([[root!.toString('hex'), pieceLayer]]);
    const { journal, have, pieces } = await run();
    await pieces.resume([0]);
    const arrive = (piece: number): void => {
      have.add(piece);
      journal.add(piece);
      pieces.arrived(piece);
    };
    for (const piece of all().slice(1)) arrive(piece);
    await journal.flush();
    assert.equal(journal.stampOf(0), undefined);
    arrive(0);
    while (journal.stampOf(0) === undefined) await turn();
    await journal.close();

    const next = await run();
    await next.pieces.resume([0]);
    assert.ok(next.have.complete);
    assert.equal(pool.hashed, 0);
    // Asked to, it looks all the same.
    await next.pieces.recheck([0]);
    assert.equal(pool.hashed, length);
    await next.journal.close();
  });

  it('loses only the pieces that are damaged, cut off or gone, and says so in the journal', async () => {
    await earlier(all(), 'stopped');
    const { atime, mtime } = statSync(staged(0));
    const bytes = readFileSync(staged(0));
    bytes[7 * PIECE + 3]! ^= 1;
    writeFileSync(staged(0), bytes);
    truncateSync(staged(0), 39 * PIECE);
    utimesSync(staged(0), atime, mtime);
    rmSync(staged(1));
    const { have, journal, pieces } = await run();
    await pieces.resume([0, 1, 2]);
    const missing = (set: { has(piece: number): boolean }): number[] => all().filter((piece) => !set.has(piece));
    assert.deepEqual(missing(have), [7, 39, 40, 41]);
    await journal.close();
    const next = await run();
    assert.deepEqual(missing(next.journal), [7, 39, 40, 41]);
    await next.journal.close();
  });

  it('never seals what it had no time to check', async () => {
    await earlier(all(), 'killed');
    const stop = new AbortController();
    const broken = await run(stop.signal);
    stop.abort();
    await assert.rejects(broken.pieces.resume([0, 1, 2]), { code: 'cancelled' });
    await broken.pieces.seal([0, 1, 2]);
    assert.equal(broken.journal.stampOf(0), undefined);
    assert.equal(broken.journal.count, info.pieceCount);
    await broken.journal.close();
  });

  it('takes of a local copy what is right, and fetches the rest', async () => {
    await earlier([3], 'stopped');
    const copy = Buffer.from(contents[0]!);
    copy[9 * PIECE]! ^= 1;
    const { have, journal, pieces } = await run();
    await pieces.resume([0, 1, 2]);
    await pieces.reuse(0, temp.file('copy', copy));
    const file = all().slice(0, 41);
    assert.deepEqual(
      file.filter((piece) => !have.has(piece)),
      [9],
    );
    assert.equal(journal.count, 40);
    // A copy of the file as it once was, in the place of what had arrived.
    await pieces.reuse(0, temp.file('copy', randomBytes(12 * PIECE)));
    assert.deepEqual([...have], []);
    assert.equal(journal.count, 0);
    await journal.close();
  });
});
