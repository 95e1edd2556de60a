import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { STAGED_FOLDER_MODE } from '../../../../src/bittorrent/file-parts.ts';
import { type FileStamp, stampOf } from '../../../../src/bittorrent/file-stamp.ts';
import { type PlaceOptions, place, stagingDir } from '../../../../src/peer/files/placement.ts';
import { stagedFile } from '../../../../src/peer/files/staged-file.ts';
import { HashPool } from '../../../../src/peer/hash-pool.ts';
import { useTempDir } from '../../temp-dir.ts';
import { HASH_WORKER } from './hash-worker-path.ts';
import { manyFiles } from './many-files.ts';

const COUNT = 700;

/** Does something else in the middle of the work. */
class MeddledPool extends HashPool {
  meddle: () => void = () => undefined;
  /** Files that were looked at. */
  looks = 0;

  override async finishStaged(...args: Parameters<HashPool['finishStaged']>): ReturnType<HashPool['finishStaged']> {
    const result = await super.finishStaged(...args);
    this.looks += args[0].length;
    this.meddle();
    return result;
  }
}

describe('placing a whole new folder', () => {
  const temp = useTempDir();
  const { info, content } = manyFiles(COUNT);
  let pool: MeddledPool;
  let options: PlaceOptions & { readonly staging: string };
  let dest = '';
  let share = '';

  beforeEach(async () => {
    pool = new MeddledPool({ workerUrl: HASH_WORKER, size: 1 });
    dest = join(temp.path, 'dest');
    share = join(dest, info.name);
    const staging = await stagingDir(dest);
    const stagedPath = (index: number): string => stagedFile(staging, info.files[index]!);
    for (const [index, { path, length }] of info.files.entries()) {
      if (length === 0) continue;
      mkdirSync(dirname(stagedPath(index)), { recursive: true, mode: STAGED_FOLDER_MODE });
      writeFileSync(stagedPath(index), content[path.join('/')]!, { mode: 0o600 });
    }
    const files = [...info.files.keys()];
    options = { info, files, stagedPath, staging, destination: dest, policy: 'fail', allowRisky: false, pool };
  });
  afterEach(() => pool.dispose());

  const assertPlaced = (except: readonly string[] = []): void => {
    for (const [path, text] of Object.entries(content))
      if (!except.includes(path)) assert.equal(readFileSync(join(share, path), 'utf8'), text, path);
  };
  const assertStaged = (): void => {
    for (const [index, { path, length }] of info.files.entries())
      if (length > 0) assert.equal(readFileSync(options.stagedPath(index), 'utf8'), content[path.join('/')]);
  };

  it('shows it only when it is complete, with plain modes, and tells what the files look like', async () => {
    let seen = 0;
    pool.meddle = () => {
      seen++;
      assert.equal(existsSync(share), false);
    };
    const placed = await place(options);
    assert.ok(seen > 1);
    assertPlaced();
    for (const { fileIndex, path, outcome, stamp } of placed) {
      assert.equal(outcome, 'placed');
      assert.equal(path, join(share, ...info.files[fileIndex]!.path));
      const { mode, nlink } = lstatSync(path);
      assert.equal(stamp, stampOf(lstatSync(path, { bigint: true })));
      if (process.platform === 'win32') continue;
      assert.equal(mode & 0o7777, 0o644 & ~process.umask());
      assert.equal(nlink, 1);
    }
    if (process.platform !== 'win32') assert.equal(statSync(share).mode & 0o7777, 0o755 & ~process.umask());
    assert.deepEqual(readdirSync(options.staging), ['.gitignore']);
  });

  it('takes the word of who wrote them for what files look like, and looks at the others', async () => {
    const known = new Map<number, FileStamp>();
    for (const [index, { length }] of info.files.entries()) {
      if (length === 0 || index % 3 === 0) continue;
      chmodSync(options.stagedPath(index), 0o644 & ~process.umask());
      known.set(index, stampOf(lstatSync(options.stagedPath(index), { bigint: true })));
    }
    pool.looks = 0;
    const placed = await place({ ...options, stampOf: (index) => known.get(index) });
    assert.equal(pool.looks, info.files.length - known.size);
    assertPlaced();
    assert.equal(placed.length, info.files.length);
    for (const { path, stamp } of placed) assert.equal(stamp, stampOf(lstatSync(path, { bigint: true })));
  });

  const someone = Object.keys(content)[COUNT >> 1]!;
  const meanwhile = (action: () => void): void => {
    pool.meddle = () => {
      pool.meddle = () => undefined;
      action();
    };
  };

  it('replaces nothing that came meanwhile', async () => {
    meanwhile(() => temp.file(`dest/${info.name}/${someone}`, 'not ours'));
    await assert.rejects(place(options), { code: 'exists' });
    assert.equal(readFileSync(join(share, someone), 'utf8'), 'not ours');
    assert.equal(readdirSync(join(share, someone, '..')).length, 1, 'nothing was placed');
    assertStaged();
    const placed = await place({ ...options, policy: 'skip' });
    assert.deepEqual(
      placed.filter(({ outcome }) => outcome === 'skipped').map(({ path }) => path),
      [join(share, someone)],
    );
    assert.equal(readFileSync(join(share, someone), 'utf8'), 'not ours');
    assertPlaced([someone]);
  });

  it('goes through no link that came meanwhile', async () => {
    mkdirSync(join(temp.path, 'elsewhere'));
    meanwhile(() => symlinkSync(join(temp.path, 'elsewhere'), share));
    await assert.rejects(place(options), { code: 'unsafe-path' });
    assert.deepEqual(readdirSync(join(temp.path, 'elsewhere')), []);
    assertStaged();
  });

  it('loses nothing when it is cancelled', async () => {
    const abort = new AbortController();
    meanwhile(() => abort.abort());
    await assert.rejects(place({ ...options, signal: abort.signal }), { code: 'cancelled' });
    assert.equal(existsSync(share), false);
    assertStaged();
    await place(options);
    assertPlaced();
  });

  it('places nothing when a staged file is damaged', async () => {
    const last = info.files.length - 1;
    const { path } = info.files[last]!;
    writeFileSync(options.stagedPath(last), 'longer than it was');
    await assert.rejects(place(options), { code: 'corrupt', message: new RegExp(path.at(-1)!) });
    assert.equal(existsSync(share), false);
    writeFileSync(options.stagedPath(last), content[path.join('/')]!);
    assertStaged();
  });

  it('leaves alone what is there when only some files are asked for, or a folder of the name exists', async () => {
    await place({ ...options, files: [3] });
    assert.equal(readdirSync(share, { recursive: true, withFileTypes: true }).filter((e) => e.isFile()).length, 1);
    temp.file(`dest/${info.name}/mine.txt`, 'mine');
    await place(options);
    assertPlaced();
    assert.equal(readFileSync(join(share, 'mine.txt'), 'utf8'), 'mine');
  });
});
