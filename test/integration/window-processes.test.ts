/** Several editor windows and commands on one home, each a process of its own. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { ShareInfo, TransferInfo } from '../../src/peer/api.ts';
import { useCli } from './cli-build.ts';
import { type EditorWindow, EditorWindows } from './editor-windows.ts';
import { Stage } from './processes.ts';

describe('windows of one device, as processes', function () {
  this.timeout(180_000);
  const cli = useCli();
  let stage: Stage;
  let windows: EditorWindows;

  beforeEach(() => {
    stage = new Stage(cli.main);
    windows = new EditorWindows(cli.main);
  });
  afterEach(async () => {
    await windows.dispose();
    await stage.dispose();
  });

  const open = (home: string, workspace?: string, port = 0): EditorWindow =>
    windows.open(stage.path(home), {
      port,
      ...(workspace === undefined ? {} : { workspace: stage.path('workspaces', workspace) }),
    });

  /** Both windows are in one new network, and connected. */
  async function pair(): Promise<[EditorWindow, EditorWindow]> {
    const [a, b] = [open('home', 'a'), open('home', 'b')];
    await a.call('createNetwork', { name: 'team', trackers: [] });
    await b.until('another window', async () => (await b.call('peers')).length === 1);
    await a.until('another window', async () => (await a.call('peers')).length === 1);
    return [a, b];
  }

  function file(name: string, size = 10_000): string {
    mkdirSync(stage.path('files'), { recursive: true });
    writeFileSync(stage.path('files', name), randomBytes(size));
    return stage.path('files', name);
  }

  const digest = (name: string): string => createHash('sha256').update(readFileSync(name)).digest('hex');

  /** The share, once the window lists it and it passes. */
  const listed = (window: EditorWindow, name: string, test: (share: ShareInfo) => boolean = () => true) =>
    window.until(name, async () => (await window.call('shares')).find((share) => share.name === name && test(share)));

  /** The transfer, once it is over. */
  const over = (window: EditorWindow, id: string): Promise<TransferInfo> =>
    window.until('the end of a transfer', async () =>
      (await window.call('transfers')).find(
        (transfer) => transfer.id === id && ['done', 'failed'].includes(transfer.state),
      ),
    );

  it('that start for the first time at once have one identity, and an instance each', async () => {
    const all = ['a', 'b', 'c', undefined].map((workspace) => open('home', workspace));
    const command = stage.ok('home', 'id');
    const states = await Promise.all(all.map((window) => window.call('status')));
    const device = String((await command).device);
    assert.deepEqual(new Set(states.map((state) => state.device)), new Set([device]));
    assert.equal(new Set(states.map(({ instance }) => instance)).size, 4);
    assert.equal(new Set(states.map(({ port }) => port)).size, 4);
    const [first] = all;
    await first?.close();
    const again = await open('home', 'a').call('status');
    assert.deepEqual([again.device, again.instance], [device, states[0]?.instance]);
  });

  it('find each other without tracker or multicast, and one has what another shares', async () => {
    const [a, b] = await pair();
    const source = file('notes.bin');
    await a.call('share', { path: source });
    const before = performance.now();
    const share = await listed(b, 'notes.bin', ({ sources }) => sources === 1);
    // A second at most where nothing else runs: here others test, too.
    assert.ok(performance.now() - before < 5_000);
    assert.equal(share.owner, (await b.call('status')).device);
    const { id } = await b.call('download', {
      ...{ share: share.share, destination: stage.path('out'), onConflict: 'skip' },
    });
    const transfer = await over(b, id);
    assert.equal(transfer.state, 'done', transfer.error?.message);
    assert.equal(digest(stage.path('out', 'notes.bin')), digest(source));
    // A third finds both.
    const c = open('home');
    await c.until('two windows', async () => (await c.call('peers')).length === 2);
    assert.equal((await listed(c, 'notes.bin', ({ sources }) => sources === 2)).sources, 2);
  });

  it('share one file as one share; stopping or limiting it in one window holds in all, also in one that was closed', async () => {
    const [a, b] = await pair();
    const c = open('home', 'c');
    await c.until('two windows', async () => (await c.call('peers')).length === 2);
    const source = file('notes.bin');
    const shared = [];
    for (const window of [a, b, c]) shared.push((await window.call('share', { path: source })).share);
    assert.equal(new Set(shared).size, 1);
    for (const window of [a, b, c]) {
      await listed(window, 'notes.bin', ({ sources }) => sources === 2);
      assert.equal((await window.call('shares')).length, 1);
    }
    const other = open('other');
    await other.call('joinNetwork', await a.call('createInvite', {}));
    await other.call('addPeerAddress', `127.0.0.1:${(await a.call('status')).port}`);
    await listed(other, 'notes.bin', ({ sources }) => sources > 0);
    await c.close();
    const { device } = await a.call('status');
    await a.call('setShareAccess', { share: 'notes.bin', to: [device] });
    await listed(b, 'notes.bin', ({ to }) => to !== undefined);
    // Nor is it by the word of the one that was closed.
    await other.until('the end of the share', async () => (await other.call('shares')).length === 0);
    await a.call('setShareAccess', { share: 'notes.bin' });
    await listed(other, 'notes.bin');
    await b.call('unshare', 'notes.bin');
    await other.until('the end of the share', async () => (await other.call('shares')).length === 0);
    await a.until('the end of the share', async () => (await a.call('shares')).every(({ own }) => !own));
    const again = open('home', 'c');
    assert.deepEqual(
      (await again.call('shares')).filter(({ own }) => own),
      [],
    );
    // Nothing lists it any more.
    for (const window of [a, b, again])
      await window.until('no share', async () => (await window.call('shares')).length === 0);
    // To share it again is the last word.
    await a.call('share', { path: source });
    assert.equal((await listed(b, 'notes.bin')).to, undefined);
  });

  it('leave a network together, with what they shared and fetched there', async () => {
    const [a, b] = await pair();
    await a.call('share', { path: file('notes.bin') });
    const share = await listed(b, 'notes.bin', ({ sources }) => sources === 1);
    const { id } = await b.call('download', {
      ...{ share: share.share, destination: stage.path('out'), onConflict: 'skip' },
    });
    await over(b, id);
    await b.call('share', { path: file('other.bin') });
    await a.call('leaveNetwork', 'team');
    await b.until('the end of the network', async () => (await b.call('networks')).length === 0);
    await b.until('the end of shares', async () => (await b.call('shares')).length === 0);
    await b.until('the end of transfers', async () => (await b.call('transfers')).length === 0);
    assert.ok(digest(stage.path('out', 'notes.bin')), 'what was fetched stays');
    await b.close();
    assert.deepEqual(await open('home', 'b').call('networks'), []);
  });

  it('fetch the same share into the same folder at once', async () => {
    const [a, b] = await pair();
    const folder = stage.path('files', 'docs');
    mkdirSync(folder, { recursive: true });
    for (let index = 0; index < 40; index++) writeFileSync(`${folder}/${index}.bin`, randomBytes(50_000));
    const c = open('home');
    await c.until('two windows', async () => (await c.call('peers')).length === 2);
    await c.call('share', { path: folder });
    const run = async (window: EditorWindow): Promise<TransferInfo> => {
      const { share } = await listed(window, 'docs', ({ sources }) => sources > 0);
      const { id } = await window.call('download', { share, destination: stage.path('out'), onConflict: 'skip' });
      return await over(window, id);
    };
    const transfers = await Promise.all([run(a), run(b)]);
    assert.deepEqual(
      transfers.map(({ state, error }) => [state, error]),
      [
        ['done', undefined],
        ['done', undefined],
      ],
    );
    assert.deepEqual(readdirSync(stage.path('out')), ['docs'], 'no staging is left, and no copy');
    const names = readdirSync(folder);
    assert.deepEqual(readdirSync(stage.path('out', 'docs')).sort(), names.sort());
    for (const name of names) assert.equal(digest(stage.path('out', 'docs', name)), digest(`${folder}/${name}`));
  });

  it('take another port when one has the fixed one, and say so', async () => {
    // One that is free.
    const probe = open('probe');
    const { port } = await probe.call('status');
    await probe.close();
    const all = ['a', 'b'].map((workspace) => open('home', workspace, port));
    const ports = await Promise.all(all.map(async (window) => (await window.call('status')).port));
    const lucky = ports.indexOf(port);
    assert.notEqual(lucky, -1, 'one has it');
    const [holder, other] = lucky === 0 ? all : [...all].reverse();
    assert.ok(holder && other);
    const line = async (window: EditorWindow) =>
      (await window.call('diagnose')).find(({ check }) => check === 'listening');
    assert.match((await line(other))?.detail ?? '', new RegExp(`port ${port} is in use by another window`));
    assert.equal((await line(other))?.ok, true);
    assert.equal((await line(holder))?.detail, `Port ${port} accepts connections.`);
    assert.deepEqual(
      other.log.filter((text) => /^(warn|error)/.test(text)),
      [],
    );
    assert.match(other.log.join(), /another window/);
    await holder.close();
    assert.equal((await open('home', 'c', port).call('status')).port, port);
    // What a command was told to listen at is no wish.
    const taken = stage.start(['run', '--home', stage.path('home2'), '--no-lan', '--listen', `127.0.0.1:${port}`]);
    const { code, stderr } = await taken.result;
    assert.equal(code, 1);
    assert.match(stderr, /cannot be used/);
    // Beside windows of its own device it gives way, too.
    const beside = await stage.peer('home', '--listen', `127.0.0.1:${port}`);
    assert.notEqual(beside.ready.port, port);
  });

  it('are listed as one device by others', async () => {
    const [a, b] = await pair();
    const invite = await a.call('createInvite', {});
    const other = open('other');
    await other.call('joinNetwork', invite);
    for (const window of [a, b]) await other.call('addPeerAddress', `127.0.0.1:${(await window.call('status')).port}`);
    const { device } = await a.call('status');
    const peers = await other.until('both windows', async () => {
      const list = await other.call('peers');
      return list.length === 2 && list;
    });
    assert.deepEqual(new Set(peers.map((peer) => peer.device)), new Set([device]));
    assert.equal((await other.call('members')).length, 2);
    assert.equal((await other.call('networks'))[0]?.peers, 1);
    assert.equal((await a.call('members')).length, 2);
  });

  it('one that was killed is forgotten by the others, and its folder and shares are those of the next', async () => {
    const [a, b] = await pair();
    const source = file('notes.bin');
    await b.call('share', { path: source });
    await listed(a, 'notes.bin', ({ sources }) => sources === 1);
    const before = await b.call('status');
    await b.kill();
    await a.until('its end', async () => (await a.call('peers')).length === 0);
    assert.equal((await listed(a, 'notes.bin')).sources, 0);
    const again = open('home', 'b');
    assert.equal((await again.call('status')).instance, before.instance);
    await listed(a, 'notes.bin', ({ sources }) => sources === 1);
    // Its place in the register is taken by one that did not know of it.
    await again.kill();
    const register = stage.path('home', 'device', 'peers');
    const c = open('home', 'c');
    await c.until('one that lives', async () => (await c.call('peers')).length === 1);
    const living: string[] = [];
    for (const window of [a, c]) living.push(`${(await window.call('status')).instance}.json`);
    const registered = (): string[] => readdirSync(register).filter((name) => name.endsWith('.json'));
    // Nothing tells of it.
    while (registered().sort().join() !== living.sort().join()) await c.call('peers');
  });

  it('lose nothing of what was done, whenever they are killed', async () => {
    const first = open('home', 'a');
    await first.call('createNetwork', { name: 'first', trackers: [] });
    const done: string[] = ['first'];
    const shared: string[] = [];
    for (let round = 0; round < 4; round++) {
      const pairOf = ['a', 'b'].map((workspace) =>
        workspace === 'a' && round === 0 ? first : open('home', workspace),
      );
      await Promise.all(pairOf.map((window) => window.call('status')));
      const work = pairOf.map(async (window, index) => {
        for (let step = 0; ; step++) {
          const name = `${round}-${index}-${step}`;
          await window.call('createNetwork', { name, trackers: [] });
          done.push(name);
          await window.call('share', { path: file(name, 100), network: 'first' });
          shared.push(name);
        }
      });
      const stopped = Promise.allSettled(work);
      const target = done.length + 3 + Math.floor(Math.random() * 4);
      while (done.length < target) await pairOf[0]?.call('status');
      await Promise.all(pairOf.map((window) => window.kill()));
      await stopped;
    }
    const later = ['a', 'b'].map((workspace) => open('home', workspace));
    for (const window of later) {
      const names = new Set((await window.call('networks')).map(({ name }) => name));
      assert.deepEqual(
        done.filter((name) => !names.has(name)),
        [],
        'networks',
      );
      assert.deepEqual(
        window.log.filter((text) => /^(warn|error)/.test(text)),
        [],
      );
    }
    const own = new Set<string>();
    for (const window of later) for (const share of await window.call('shares')) if (share.own) own.add(share.name);
    assert.deepEqual(
      shared.filter((name) => !own.has(name)),
      [],
      'shares',
    );
  });

  it('leave the home to commands, which are peers of the same device, and to several at once', async () => {
    const [a] = await pair();
    const source = file('notes.bin');
    await a.call('share', { path: source });
    const lists = await Promise.all([1, 2].map(() => stage.run('home', 'shares', '--wait', '60', '--no-lan')));
    for (const { code, lines, stderr } of lists) {
      assert.equal(code, 0, stderr);
      assert.deepEqual(
        lines.map(({ name }) => name),
        ['notes.bin'],
      );
    }
    const got = await Promise.all(
      ['x', 'y'].map((out) =>
        stage.run('home', 'get', 'notes.bin', '--out', stage.path(out), '--wait', '60', '--no-lan'),
      ),
    );
    for (const { code, stderr } of got) assert.equal(code, 0, stderr);
    for (const out of ['x', 'y']) assert.equal(digest(stage.path(out, 'notes.bin')), digest(source));
    // Nobody but this device is here.
    const peers = await stage.run('home', 'peers', '--wait', '3', '--no-lan');
    assert.deepEqual([peers.code, peers.lines.length, peers.lines.every(({ self }) => self === true)], [0, 2, true]);
    assert.match(peers.stderr, /Nobody is connected/);
    const table = await stage.start(['peers', '--home', stage.path('home'), '--wait', '3', '--no-lan']).result;
    assert.match(table.stdout, /^NAME .*\n.* \(this device\) .*, 1 more .*\n$/);
    // What a command calls the device is its name everywhere.
    await stage.ok('home', 'id', '--set-name', 'desk');
    while ((await a.call('status')).name !== 'desk') await a.call('peers');
    // One that was killed is in nobody's way.
    const run = await stage.peer('home');
    await run.end('SIGKILL');
    const { device } = await stage.ok('home', 'id');
    assert.equal(device, (await a.call('status')).device);
    const again = await stage.peer('home');
    await a.until('the command', async () => (await a.call('peers')).length === 2);
    await stage.ok('home', 'unshare', 'notes.bin');
    await a.until('the end of the share', async () => (await a.call('shares')).length === 0);
    assert.equal((await again.end()).code, 0);
  });
});
