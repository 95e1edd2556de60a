/** What a network must survive, with real processes: several sources, an origin and a tracker that go away, a kill. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { choosePieceLength } from '../../src/bittorrent/metainfo.ts';
import { useCli } from './cli-build.ts';
import { type Line, progressOf, Stage } from './processes.ts';

const MiB = 1024 * 1024;

describe('the life of a swarm', function () {
  this.timeout(300_000);
  const cli = useCli();
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage(cli.main);
  });
  afterEach(() => stage.dispose());

  /** One network with these homes in it, the first one its creator. */
  async function network(...homes: string[]): Promise<{ tracker: Awaited<ReturnType<Stage['tracker']>> }> {
    const tracker = await stage.tracker();
    const [creator = '', ...others] = homes;
    const { invite } = await stage.ok(creator, 'network', 'create', 'team', '--tracker', tracker.url);
    for (const home of others) await stage.ok(home, 'network', 'join', String(invite));
    return { tracker };
  }

  function file(name: string, size: number): { path: string; content: Buffer } {
    const content = randomBytes(size);
    writeFileSync(stage.path(name), content);
    return { path: stage.path(name), content };
  }

  it('C takes pieces from A and B, who both have the file', async () => {
    await network('a', 'b', 'c');
    const { path, content } = file('large.bin', 256 * MiB);
    await stage.ok('a', 'share', path);
    await stage.peer('a', '--upload-limit', String(40 * MiB));
    const b = await stage.peer('b', '--upload-limit', String(40 * MiB));
    const first = await stage.ok('b', 'get', 'large.bin', '--out', stage.path('b-out'), '--wait', '90');
    assert.equal(first.fetched, content.length);
    assert.equal(first.sources, 1);
    const c = await stage.peer('c');
    const second = await stage.ok('c', 'get', 'large.bin', '--out', stage.path('c-out'), '--wait', '90');
    assert.ok(readFileSync(stage.path('c-out', 'large.bin')).equals(content));
    assert.equal(second.sources, 2);
    const done = await c.event(({ event, transfer }) => event === 'transfer' && (transfer as Line).state === 'done');
    const sources = (done.transfer as { sources: { bytes: number }[] }).sources;
    assert.equal(sources.length, 2);
    for (const { bytes } of sources) assert.ok(bytes > 16 * MiB, `one source gave only ${bytes}`);
    await b.end();
  });

  it('a share outlives its origin and the tracker, and a restarted peer is found again without the tracker', async () => {
    const { tracker } = await network('a', 'b', 'c');
    const { path, content } = file('kept.bin', 3 * MiB);
    await stage.ok('a', 'share', path);
    const a = await stage.peer('a');
    const b = await stage.peer('b');
    await stage.ok('b', 'get', 'kept.bin', '--out', stage.path('b-out'), '--wait', '90');
    const c = await stage.peer('c');
    // Who never met does not know where to look.
    for (const peer of [b, c])
      await peer.event(({ event, peers }) => event === 'peers' && (peers as unknown[]).length === 2);
    assert.equal((await stage.run('c', 'peers', '--wait', '90')).lines.length, 2);
    const listed = await stage.run('c', 'shares', '--wait', '90');
    assert.equal(listed.lines[0]?.name, 'kept.bin');

    await a.end('SIGKILL');
    await tracker.process.end('SIGKILL');
    await b.end();
    const again = await stage.peer('b');
    await again.event(({ event, peers }) => event === 'peers' && (peers as unknown[]).length > 0);
    const after = await stage.run('c', 'shares', '--wait', '90');
    assert.equal(after.lines[0]?.name, 'kept.bin');
    const got = await stage.ok('c', 'get', 'kept.bin', '--out', stage.path('c-out'), '--wait', '90');
    assert.equal(got.sources, 1);
    assert.ok(readFileSync(stage.path('c-out', 'kept.bin')).equals(content));
  });

  it('a download killed in the middle goes on with what is missing', async () => {
    await network('a', 'b');
    const size = 96 * MiB;
    const { path, content } = file('killed.bin', size);
    await stage.ok('a', 'share', path);
    await stage.peer('a', '--upload-limit', String(16 * MiB));
    const out = stage.path('out');
    const getting = stage.start([
      'get',
      'killed.bin',
      '--home',
      stage.path('b'),
      '--out',
      out,
      '--wait',
      '90',
      '--json',
    ]);
    await getting.says((stderr) => progressOf(stderr) >= 4 * MiB);
    await getting.end('SIGKILL');
    const had = progressOf(getting.stderr);
    assert.ok(had >= 4 * MiB && had < size, `${had}`);
    const result = await stage.ok('b', 'get', 'killed.bin', '--out', stage.path('out'), '--wait', '90');
    const piece = choosePieceLength(size);
    assert.ok(Number(result.fetched) <= size - had + piece, `fetched ${result.fetched} of ${size - had} missing`);
    assert.ok(readFileSync(stage.path('out', 'killed.bin')).equals(content));
  });

  it('what is there already costs nothing, conflicts are never resolved in silence', async () => {
    await network('a', 'b');
    const { path, content } = file('notes.txt', 50_000);
    await stage.ok('a', 'share', path);
    await stage.peer('a');
    const out = stage.path('out');
    assert.equal((await stage.ok('b', 'get', 'notes.txt', '--out', out, '--wait', '90')).fetched, 50_000);
    assert.equal((await stage.ok('b', 'get', 'notes.txt', '--out', out, '--wait', '90')).fetched, 0);
    writeFileSync(stage.path('out', 'notes.txt'), 'mine');
    const refused = await stage.run('b', 'get', 'notes.txt', '--out', out, '--wait', '90');
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /notes\.txt/);
    assert.equal(readFileSync(stage.path('out', 'notes.txt'), 'utf8'), 'mine');
    const both = await stage.ok('b', 'get', 'notes.txt', '--out', out, '--wait', '90', '--on-conflict', 'keep-both');
    assert.ok(readFileSync(String(both.path)).equals(content));
    assert.equal(readFileSync(stage.path('out', 'notes.txt'), 'utf8'), 'mine');
    await stage.ok('b', 'get', 'notes.txt', '--out', out, '--wait', '90', '--on-conflict', 'overwrite');
    assert.ok(readFileSync(stage.path('out', 'notes.txt')).equals(content));
  });

  it('a share follows its file: stale bytes are never served', async () => {
    await network('a', 'b');
    mkdirSync(stage.path('proj'));
    writeFileSync(stage.path('proj', 'a.txt'), 'first');
    await stage.ok('a', 'share', stage.path('proj'));
    const a = await stage.peer('a');
    const listed = await stage.ok('b', 'shares', '--wait', '90');
    writeFileSync(stage.path('proj', 'a.txt'), 'second version');
    const isNew = ({ event, shares }: Line): boolean =>
      event === 'shares' && (shares as Line[]).some(({ infohash }) => infohash !== listed.infohash);
    await a.event(isNew);
    const b = await stage.peer('b');
    await b.event(isNew);
    await stage.ok('b', 'get', 'proj', '--out', stage.path('out'), '--wait', '90');
    assert.equal(readFileSync(stage.path('out', 'proj', 'a.txt'), 'utf8'), 'second version');
  });
});
