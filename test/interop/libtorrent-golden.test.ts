/**
 * The same content, made into a torrent by libtorrent and by us, must be the same torrent; and libtorrent must load ours.
 * `UPDATE_FIXTURES=1` writes what libtorrent made to test/unit/bittorrent/fixtures.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { decodeTorrent, encodeTorrent, type Info } from '../../src/bittorrent/metainfo.ts';
import { type Built, build, contentOf, fixtureFile, GOLDEN } from '../unit/bittorrent/support.ts';

const PYTHON = '/usr/bin/python3';
const SCRIPT = path.join(import.meta.dirname, 'libtorrent-torrents.py');

function libtorrentVersion(): string | undefined {
  const { stdout, status } = spawnSync(PYTHON, ['-c', 'import libtorrent; print(libtorrent.version)'], {
    encoding: 'utf8',
  });
  return status === 0 ? stdout.trim() : undefined;
}

function libtorrent(request: object): Record<string, unknown> {
  const { stdout, stderr, status } = spawnSync(PYTHON, [SCRIPT], {
    input: JSON.stringify(request),
    encoding: 'utf8',
    timeout: 30_000,
    maxBuffer: 64 * 1024 * 1024,
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

const base64 = (value: unknown): Buffer => Buffer.from(String(value), 'base64');

describe('torrents, by libtorrent and by us', function () {
  this.timeout(180_000);
  let folder: string | undefined;

  before(function () {
    if (libtorrentVersion() === undefined) {
      assert.ok(!process.env.CI, 'CI must have python3-libtorrent');
      console.log('    skipped: python3-libtorrent is not installed');
      this.skip();
    }
    folder = mkdtempSync(path.join(tmpdir(), 'peerwire-libtorrent-'));
  });

  after(() => {
    if (folder !== undefined) rmSync(folder, { recursive: true });
  });

  for (const golden of GOLDEN) {
    describe(golden.fixture, () => {
      let ours: Built;
      let theirs: Buffer;
      let dir: string;

      before(() => {
        assert.ok(folder !== undefined);
        ours = build(golden.name, golden.pieceLength, golden.files, golden.single);
        dir = mkdtempSync(path.join(folder, 'case-'));
        for (const file of golden.files) {
          const target = path.join(dir, ...(golden.single ? [] : [golden.name]), ...file.path);
          mkdirSync(path.dirname(target), { recursive: true });
          writeFileSync(target, contentOf(file));
        }
        const created = libtorrent({
          do: 'create',
          path: path.join(dir, golden.name),
          pieceLength: golden.pieceLength,
        });
        theirs = base64(created.torrent);
        if (process.env.UPDATE_FIXTURES) writeFileSync(fixtureFile(golden.fixture), theirs);
      });

      it('is the same torrent', () => {
        const { info, layers } = decodeTorrent(theirs);
        assert.deepEqual(ours.info, info);
        assert.deepEqual(new Map([...ours.layers].sort()), new Map([...layers].sort()));
        assert.deepEqual(encodeTorrent(ours.info, ours.layers), theirs);
      });

      it('is loaded by libtorrent, which sees the same in it', () => {
        const torrent = encodeTorrent(ours.info, ours.layers, { trackers: ['http://tracker.test/announce'] });
        const loaded = libtorrent({ do: 'load', torrent: torrent.toString('base64') });
        assert.deepEqual(loaded, described(ours.info));
      });

      it('fits the content, as libtorrent hashes it', () => {
        const torrent = encodeTorrent(ours.info, ours.layers).toString('base64');
        assert.deepEqual(libtorrent({ do: 'check', torrent, dir }), { progress: 1 });
      });
    });
  }

  it('the check above can fail', () => {
    assert.ok(folder !== undefined);
    const golden = GOLDEN.find((one) => one.single && one.files[0]!.size === 300_000)!;
    const { info, layers } = build(golden.name, golden.pieceLength, golden.files, true);
    const dir = mkdtempSync(path.join(folder, 'case-'));
    const spoiled = Buffer.from(contentOf(golden.files[0]!));
    spoiled[200_000]! ^= 1;
    writeFileSync(path.join(dir, golden.name), spoiled);
    const torrent = encodeTorrent(info, layers).toString('base64');
    const { progress } = libtorrent({ do: 'check', torrent, dir });
    assert.ok(Number(progress) < 1);
  });
});

/** What libtorrent-torrents.py says about a torrent. */
function described(info: Info): Record<string, unknown> {
  return {
    infohash: info.infoHash,
    name: info.name,
    pieceLength: info.pieceLength,
    pieces: info.pieceCount,
    files: info.files.map(({ path: components, length, root }) => ({
      path: [...(info.single ? [] : [info.name]), ...components].join('/'),
      length,
      root: (root ?? Buffer.alloc(32)).toString('hex'),
    })),
  };
}
