/** Real processes that do not listen, and members that relay between them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { useCli } from './cli-build.ts';
import { addressOf, type Line, progressOf, type RunningPeer, Stage } from './processes.ts';

const MiB = 1024 * 1024;

describe('a transfer between peers that do not listen', function () {
  this.timeout(180_000);
  const cli = useCli();
  let stage: Stage;

  beforeEach(() => {
    stage = new Stage(cli.main);
  });
  afterEach(() => stage.dispose());

  async function sees(peer: RunningPeer, count: number): Promise<Line[]> {
    const { peers } = await peer.event(({ event, peers }) => event === 'peers' && (peers as []).length === count);
    return peers as Line[];
  }

  it('goes on by another relay when the one in use dies in the middle of it', async () => {
    const { invite } = await stage.ok('c', 'network', 'create', 'team');
    for (const home of ['a', 'b', 'd']) await stage.ok(home, 'network', 'join', String(invite));
    const c = await stage.peer('c');
    const connect = ['--connect', addressOf(c)];
    const d = await stage.peer('d', ...connect);
    connect.push('--connect', addressOf(d));
    const a = await stage.peer('a', '--listen', 'none', '--upload-limit', String(4 * MiB), ...connect);
    const b = await stage.peer('b', '--verbose', '--listen', 'none', ...connect);
    for (const peer of [a, b]) {
      const peers = await sees(peer, 3);
      assert.deepEqual(peers.map(({ via }) => via).sort(), ['direct', 'direct', 'relay']);
    }
    const content = randomBytes(32 * MiB);
    writeFileSync(stage.path('large.bin'), content);
    const { share } = await stage.ok('a', 'share', stage.path('large.bin'));
    const getting = stage.start([
      ...['--home', stage.path('b'), '--json', 'get', String(share)],
      ...['--out', stage.path('out'), '--wait', '60'],
    ]);
    await getting.says((stderr) => progressOf(stderr) > 8 * MiB);

    // By the one that Bob reached last, which is for the swarm, it comes; it dies.
    const used = () => /.*Reached \S+ by the relay (\w+)\//s.exec(b.stderr)?.[1];
    const dying = [c, d].find(({ ready }) => ready.device === used());
    assert.ok(dying, b.stderr);
    await dying.end('SIGKILL');
    await getting.says((stderr) => progressOf(stderr) > 16 * MiB);
    const { code, stderr, lines } = await getting.result;
    assert.equal(code, 0, stderr);
    assert.ok(readFileSync(stage.path('out', 'large.bin')).equals(content));
    assert.notEqual(used(), dying.ready.device);
    const { fetched } = lines.at(-1) as { fetched: number };
    assert.ok(fetched < content.length + 6 * MiB, `${fetched} bytes were fetched`);
  });
});
