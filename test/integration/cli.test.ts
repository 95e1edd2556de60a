/** The command line as DESIGN §6 promises it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { ControlSocket } from '../../src/peer/control-socket.ts';
import { fakeApi } from '../unit/cli/fake-api.ts';
import { useCli } from './cli-build.ts';
import { addressOf, type Line, progressOf, type Result, Stage } from './processes.ts';

const MIB = 2 ** 20;
const ID = /^[A-Z2-7]{52}$/;
const SHARE = /^[a-z2-7]{26}$/;

function assertFails(outcome: Result, code: 1 | 2, reason: RegExp): void {
  assert.equal(outcome.code, code, `${outcome.stdout}\n${outcome.stderr}`);
  assert.equal(outcome.stdout, '');
  const last = outcome.stderr.trimEnd().split('\n').at(-1) ?? '';
  assert.match(last, /^peerwire: /);
  assert.match(last, reason);
}

describe('peerwire', function () {
  this.timeout(180_000);
  const cli = useCli();
  let place: Stage;

  beforeEach(async () => {
    place = new Stage(cli.main);
  });
  afterEach(() => place.dispose());

  /** One network, these homes in it; without a tracker, so that every connection is made by `--connect`. */
  async function network(creator: string, ...others: string[]): Promise<string> {
    const { invite } = await place.ok(creator, 'network', 'create', 'team');
    for (const home of others) await place.ok(home, 'network', 'join', String(invite));
    return String(invite);
  }

  async function file(name: string, size: number): Promise<Buffer> {
    const content = randomBytes(size);
    await mkdir(path.dirname(place.path(name)), { recursive: true });
    await writeFile(place.path(name), content);
    return content;
  }

  describe('without a network', () => {
    it('gives a device its identity once, and shows it', async () => {
      const first = await place.ok('a', 'id');
      assert.match(String(first.device), ID);
      assert.match(String(first.name), /.@./);
      assert.deepEqual(await place.ok('a', 'id'), first);
      assert.notEqual((await place.ok('b', 'id')).device, first.device);
      const renamed = await place.ok('a', 'id', '--set-name', 'build server');
      assert.deepEqual([renamed.name, renamed.device], ['build server', first.device]);
      const people = await place.start(['id', '--home', place.path('a')]).result;
      assert.match(people.stdout, /^build server\n([A-Z2-7]{4}-){12}[A-Z2-7]{4}\n\w+( \w+){3}\n$/);
      const [key = ''] = await readdir(place.path('a', 'secrets'));
      assert.equal((await stat(place.path('a', 'secrets', key))).mode & 0o777, 0o600);
    });

    it('creates, joins, lists and leaves networks', async () => {
      const created = await place.ok('a', 'network', 'create', 'team', '--tracker', 'http://127.0.0.1:9/announce');
      assert.deepEqual([created.name, String(created.network).length], ['team', 64]);
      const joined = await place.ok('b', 'network', 'join', String(created.invite));
      assert.deepEqual(joined, { network: created.network, name: 'team' });
      const { lines } = await place.run('b', 'network', 'list');
      assert.deepEqual(lines, [
        {
          network: created.network,
          name: 'team',
          trackers: ['http://127.0.0.1:9/announce'],
          creator: false,
          admin: false,
        },
      ]);
      const { invite } = await place
        .ok('b', 'invite', '--expires', '1h')
        .catch(() => place.ok('a', 'invite', '--expires', '1h'));
      const piped = place.start(['network', 'join', '-', '--home', place.path('c'), '--json'], {
        input: `${invite}\n`,
      });
      assert.equal((await piped.result).code, 0, piped.stderr);
      assert.deepEqual(await place.ok('b', 'network', 'leave', 'team'), { network: created.network, name: 'team' });
      assert.deepEqual((await place.run('b', 'network', 'list')).lines, []);
      assertFails(await place.run('b', 'network', 'leave', 'team'), 1, /no network “team”/);
    });

    it('ends with 1 and one line when it fails', async () => {
      assertFails(await place.run('a', 'network', 'join', 'nonsense'), 1, /invite/);
      assertFails(await place.run('a', 'share', place.path('nothing')), 1, /no network/);
      await network('a');
      assertFails(await place.run('a', 'share', place.path('nothing')), 1, /nothing/);
      assertFails(await place.run('a', 'unshare', 'x'), 1, /No share “x” is known/);
      assertFails(await place.run('a', 'get', 'x', '--wait', '0.1', '--no-lan'), 1, /No share “x” is known/);
      assertFails(await place.run('a', 'network', 'revoke', 'AAAA'), 1, /No member is “AAAA”/);
    });

    it('does not start on a home whose secrets are damaged', async () => {
      await place.ok('a', 'id');
      const [key = ''] = await readdir(place.path('a', 'secrets'));
      await writeFile(place.path('a', 'secrets', key), '{');
      assertFails(await place.run('a', 'id'), 1, /device key cannot be read/);
      assert.equal(await readFile(place.path('a', 'secrets', key), 'utf8'), '{', 'it is left as it is');
    });
  });

  describe('sharing and getting', () => {
    it('brings a file from one home to another, and costs nothing the second time', async () => {
      await network('a', 'b');
      const content = await file('notes.bin', 3 * MIB + 17);
      const shared = await place.ok('a', 'share', place.path('notes.bin'), '--message', 'for you');
      assert.match(String(shared.share), SHARE);
      assert.deepEqual([shared.name, shared.size, shared.files], ['notes.bin', content.length, 1]);
      const a = await place.peer('a');
      const peers = await place.run('b', 'peers', '--wait', '90', '--connect', addressOf(a), '--no-lan');
      assert.equal(peers.lines.length, 1);
      assert.deepEqual([peers.lines[0]?.device, peers.lines[0]?.name], [a.ready.device, a.ready.name]);
      assert.equal(peers.lines[0]?.address, addressOf(a));

      const listed = await place.run('b', 'shares', '--wait', '90', '--connect', addressOf(a), '--no-lan');
      const { share, infohash, name, kind, size, files, owner, ownerName, sources, message } = listed.lines[0] ?? {};
      assert.deepEqual(
        { share, infohash, name, kind, size, files, owner, ownerName, sources, message },
        {
          ...{ share: shared.share, infohash: shared.infohash, name: 'notes.bin', kind: 'file' },
          ...{
            size: content.length,
            files: 1,
            owner: a.ready.device,
            ownerName: a.ready.name,
            sources: 1,
            message: 'for you',
          },
        },
      );

      const args = [
        'get',
        'notes.bin',
        '--out',
        place.path('out'),
        '--wait',
        '90',
        '--connect',
        addressOf(a),
        '--no-lan',
      ];
      const got = await place.run('b', ...args);
      assert.equal(got.code, 0, got.stderr);
      assert.equal(got.lines.length, 1);
      const result = got.lines[0] ?? {};
      assert.deepEqual(
        [result.path, result.bytes, result.fetched, result.sources],
        [place.path('out', 'notes.bin'), content.length, content.length, 1],
      );
      assert.deepEqual(result.perSource, [{ device: a.ready.device, name: a.ready.name, bytes: content.length }]);
      assert.ok(Number(result.seconds) > 0 && Number(result.seconds) < 150);
      assert.ok((await readFile(place.path('out', 'notes.bin'))).equals(content));
      const progress = got.stderr
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line));
      assert.ok(progress.some(({ event, transfer }) => event === 'transfer' && transfer.state === 'done'));

      const again = (await place.run('b', ...args)).lines[0] ?? {};
      assert.deepEqual([again.path, again.bytes, again.fetched, again.sources], [result.path, result.bytes, 0, 0]);
      assert.deepEqual(await readdir(place.path('out')), ['notes.bin']);
      assert.equal((await a.end()).code, 0);
    });

    it('uses the peer that runs in the home, whatever the working directory', async () => {
      await network('a', 'b');
      await mkdir(place.path('work'));
      const content = await file('work/tree/one.txt', 1000);
      await file('work/tree/deep/two.txt', 70_000);
      const a = await place.peer('a');
      const b = await place.peer('b', '--connect', addressOf(a));
      const cwd = place.path('work');
      const share = place.start(['share', 'tree', '--home', place.path('a'), '--json'], { cwd });
      assert.equal((await share.result).code, 0, share.stderr);
      const shown = await b.event(
        ({ event, shares }) => event === 'shares' && (shares as Line[]).some(({ name }) => name === 'tree'),
      );
      assert.equal((shown.shares as Line[])[0]?.own, false);
      await mkdir(place.path('elsewhere'));
      const get = place.start(['get', 'tree', '--home', place.path('b'), '--json', '--out', 'here'], {
        cwd: place.path('elsewhere'),
      });
      assert.equal((await get.result).code, 0, get.stderr);
      assert.equal((await get.result).lines[0]?.path, place.path('elsewhere', 'here', 'tree'));
      assert.ok((await readFile(place.path('elsewhere/here/tree/one.txt'))).equals(content));
      // The peer that runs tells of it, too, and goes on as a source.
      await b.event(({ event, transfer }) => event === 'transfer' && (transfer as Line).state === 'done');
      const [row] = (await place.run('a', 'shares', '--wait', '90')).lines;
      assert.equal(row?.own, true);

      const one = place.start([
        'get',
        'tree',
        '--file',
        'one.txt',
        '--out',
        place.path('one'),
        '--home',
        place.path('b'),
        '--json',
      ]);
      assert.equal((await one.result).code, 0, one.stderr);
      assert.equal((await one.result).lines[0]?.bytes, 1000);
      assert.ok((await readFile(String((await one.result).lines[0]?.path))).equals(content));

      const { code } = await place.run('a', 'unshare', 'tree');
      assert.equal(code, 0);
      await b.event(({ event, shares }) => event === 'shares' && (shares as Line[]).length === 0);
      for (const peer of [a, b]) assert.equal((await peer.end()).code, 0);
    });

    it('stops at conflicts unless told what to do', async () => {
      await network('a', 'b');
      const theirs = await file('doc.txt', 5000);
      await place.ok('a', 'share', place.path('doc.txt'));
      const a = await place.peer('a');
      const b = await place.peer('b', '--connect', addressOf(a));
      await b.event(({ event, shares }) => event === 'shares' && (shares as Line[]).length === 1);
      const mine = await file('out/doc.txt', 4000);
      const get = (...more: string[]) => place.run('b', 'get', 'doc.txt', '--out', place.path('out'), ...more);
      assertFails(await get(), 1, /doc\.txt exists and differs in .*--on-conflict skip, overwrite or keep-both/);
      assert.equal((await get('--on-conflict', 'skip')).code, 0);
      assert.ok((await readFile(place.path('out/doc.txt'))).equals(mine));
      const both = await get('--on-conflict', 'keep-both');
      assert.equal(both.lines[0]?.path, place.path('out', 'doc (2).txt'), both.stderr);
      assert.ok((await readFile(place.path('out/doc.txt'))).equals(mine));
      assert.ok((await readFile(place.path('out/doc (2).txt'))).equals(theirs));
      const overwritten = await get('--on-conflict', 'overwrite');
      assert.equal(overwritten.code, 0, overwritten.stderr);
      assert.ok((await readFile(place.path('out/doc.txt'))).equals(theirs));
    });

    it('does not place what tools execute unless told to', async () => {
      await network('a', 'b');
      await file('project/.vscode/tasks.json', 100);
      await file('project/readme.md', 100);
      await place.ok('a', 'share', place.path('project'));
      const a = await place.peer('a');
      const args = ['get', 'project', '--out', place.path('out'), '--connect', addressOf(a), '--no-lan'];
      assertFails(await place.run('b', ...args), 1, /\.vscode\/tasks\.json.*--allow-risky/);
      assert.deepEqual(await readdir(place.path('out')).catch(() => []), []);
      assert.equal((await place.run('b', ...args, '--allow-risky')).code, 0);
      assert.equal((await stat(place.path('out/project/.vscode/tasks.json'))).size, 100);
    });

    it('names the candidates when a name is not enough', async () => {
      await network('a');
      await file('one/same.txt', 10);
      await file('two/same.txt', 20);
      const first = await place.ok('a', 'share', place.path('one/same.txt'));
      const second = await place.ok('a', 'share', place.path('two/same.txt'));
      const outcome = await place.run('a', 'unshare', 'same.txt');
      assertFails(
        outcome,
        1,
        new RegExp(`2 shares.*${first.share}.*${second.share}|2 shares.*${second.share}.*${first.share}`),
      );
      assert.deepEqual(await place.ok('a', 'unshare', String(first.share)), { share: first.share, name: 'same.txt' });
      assertFails(
        await place.run('a', 'get', 'sam', '--wait', '0', '--no-lan'),
        1,
        new RegExp(`Known shares: ${second.share}`),
      );
    });

    it('says so when nobody who has it is online', async () => {
      await network('a', 'b');
      await file('gone.bin', 1000);
      await place.ok('a', 'share', place.path('gone.bin'));
      const a = await place.peer('a');
      await place.ok('b', 'shares', '--wait', '90', '--connect', addressOf(a), '--no-lan');
      await a.end();
      const outcome = await place.run('b', 'get', 'gone.bin', '--wait', '0.2', '--out', place.path('out'), '--no-lan');
      assertFails(outcome, 1, /“gone\.bin”/);
    });

    it('stops on Ctrl-C and resumes later without fetching again what it has', async () => {
      await network('a', 'b');
      const content = await file('large.bin', 24 * MIB);
      await place.ok('a', 'share', place.path('large.bin'));
      const slow = await place.peer('a', '--upload-limit', '4MiB');
      const args = ['get', 'large.bin', '--home', place.path('b'), '--json', '--out', place.path('out'), '--no-lan'];
      const get = place.start([...args, '--connect', addressOf(slow)]);
      await get.says((stderr) => progressOf(stderr) > 4 * MIB);
      const interrupted = await get.end('SIGINT');
      assertFails(interrupted, 1, /Interrupted/);
      assert.deepEqual(
        (await readdir(place.path('out'))).filter((name) => !name.startsWith('.')),
        [],
      );
      assert.equal((await slow.end('SIGINT')).code, 0);

      const fast = await place.peer('a');
      const resumed = await place.start([...args, '--connect', addressOf(fast)]).result;
      assert.equal(resumed.code, 0, resumed.stderr);
      const fetched = Number(resumed.lines[0]?.fetched);
      assert.ok(fetched > 0 && fetched < content.length - 3 * MIB, `fetched ${fetched} of ${content.length}`);
      assert.ok((await readFile(place.path('out/large.bin'))).equals(content));
    });

    it('fetches from a peer that accepts no connections', async () => {
      await network('a', 'b');
      const content = await file('inside.bin', 300_000);
      await place.ok('a', 'share', place.path('inside.bin'));
      const b = await place.peer('b');
      const a = await place.peer('a', '--listen', 'none', '--connect', addressOf(b));
      assert.equal(a.ready.port, null);
      const got = await place.ok('b', 'get', 'inside.bin', '--out', place.path('out'), '--wait', '90');
      assert.equal(got.fetched, content.length);
      assert.ok((await readFile(place.path('out/inside.bin'))).equals(content));
    });

    it('stays as a source with --seed until it is told to end', async () => {
      await network('a', 'b', 'c');
      const content = await file('seeded.bin', 200_000);
      await place.ok('a', 'share', place.path('seeded.bin'));
      const a = await place.peer('a');
      const seeding = place.start([
        ...['get', 'seeded.bin', '--seed', '--home', place.path('b'), '--json', '--out', place.path('b-out')],
        ...['--connect', addressOf(a), '--listen', '127.0.0.1:0', '--no-lan'],
      ]);
      await seeding.event(({ fetched }) => fetched === content.length);
      // C learns from A where B is.
      const c = await place.peer('c', '--connect', addressOf(a));
      await c.event(({ event, shares }) => event === 'shares' && (shares as Line[])[0]?.sources === 2);
      await a.end('SIGKILL');
      const got = await place.ok('c', 'get', 'seeded.bin', '--out', place.path('c-out'), '--wait', '90');
      const { device } = await place.ok('b', 'id');
      assert.deepEqual(
        (got.perSource as Line[]).map((source) => source.device),
        [device],
      );
      assert.equal((await seeding.end('SIGINT')).code, 0);
    });

    it('shares with some members only', async () => {
      await network('a', 'b', 'c');
      const { device } = await place.ok('b', 'id');
      await file('secret-plan.txt', 2000);
      await place.ok('a', 'share', place.path('secret-plan.txt'), '--to', String(device));
      const a = await place.peer('a');
      const where = ['--wait', '90', '--connect', addressOf(a), '--no-lan'];
      assert.equal((await place.run('b', 'get', 'secret-plan.txt', '--out', place.path('b-out'), ...where)).code, 0);
      const refused = await place.run(
        'c',
        'get',
        'secret-plan.txt',
        '--out',
        place.path('c-out'),
        '--connect',
        addressOf(a),
        '--no-lan',
        '--wait',
        '3',
      );
      assert.equal(refused.code, 1, refused.stdout);
      assert.deepEqual(await readdir(place.path('c-out')).catch(() => []), []);
    });
  });

  describe('a running peer', () => {
    it('is the only one of its home, keeps its port, and survives being killed', async () => {
      await network('a');
      const first = await place.peer('a');
      assert.match(String(first.ready.device), ID);
      assertFails(await place.start(['run', '--home', place.path('a')]).result, 1, /running in this home already/);
      await first.end('SIGKILL');
      const second = await place.peer('a');
      assert.deepEqual([second.ready.device, second.ready.port], [first.ready.device, first.ready.port]);
      assert.equal((await second.end()).code, 0);
      assert.deepEqual(
        (await readdir(place.path('a'))).filter((name) => name.includes('sock')),
        [],
      );
    });

    it('ends commands that use it with a reason', async () => {
      const control = await ControlSocket.claim(place.path('a'));
      try {
        let attached = (): void => undefined;
        const attaching = new Promise<void>((resolve) => {
          attached = resolve;
        });
        const { api } = fakeApi({
          status: () => {
            attached();
            return new Promise(() => undefined);
          },
        });
        control.serve(api, { temporary: false });
        const waiting = place.start(['peers', '--wait', '60', '--home', place.path('a'), '--json']);
        await attaching;
        await control.close();
        assertFails(await waiting.result, 1, /The peer that runs in this home was ended\.$/);
      } finally {
        await control.close();
      }
    });

    it('tells of what was there before it was ready', async () => {
      await network('a');
      await file('early.bin', 1000);
      await place.ok('a', 'share', place.path('early.bin'));
      const peer = await place.peer('a');
      const { shares } = await peer.event(({ event }) => event === 'shares');
      assert.deepEqual(
        (shares as Line[]).map(({ name, own }) => ({ name, own })),
        [{ name: 'early.bin', own: true }],
      );
    });

    it('that dies ends its process with the reason, and another can be started', async () => {
      // Makes the peer's thread fail when the process gets a signal.
      const fault = place.path('fault.mjs');
      await writeFile(
        fault,
        `import { isMainThread } from 'node:worker_threads';
        const channel = new BroadcastChannel('fault');
        channel.unref();
        if (isMainThread) process.on('SIGUSR2', () => channel.postMessage('now'));
        else channel.onmessage = () => { throw new Error('out of order'); };`,
      );
      const args = ['run', '--home', place.path('a'), '--no-lan', '--listen', '127.0.0.1:0'];
      const peer = place.start(args, { env: { NODE_OPTIONS: `--import ${pathToFileURL(fault)}` } });
      await peer.event(({ event }) => event === 'ready');
      const { code, stderr } = await peer.end('SIGUSR2');
      assert.equal(code, 1);
      assert.match(stderr, /peerwire: The peer stopped unexpectedly \(out of order\)/);
      const { ready } = await place.peer('a');
      assert.equal(ready.event, 'ready');
    });

    it('that was opened for a command serves others until they are done', async () => {
      await network('a');
      const first = place.start(['peers', '--wait', '1', '--home', place.path('a'), '--json', '--no-lan']);
      const second = place.start(['peers', '--wait', '2', '--home', place.path('a'), '--json', '--no-lan']);
      const third = place.run('a', 'id');
      for (const outcome of [await first.result, await second.result, await third])
        assert.equal(outcome.code, 0, outcome.stderr);
    });

    it('diagnoses', async () => {
      await network('a');
      const outcome = await place.run('a', 'diagnose', '--wait', '0', '--no-lan');
      assert.equal(outcome.code, 0);
      assert.ok(outcome.lines.length > 1);
      for (const line of outcome.lines) {
        assert.deepEqual(Object.keys(line), ['check', 'ok', 'detail', 'fix']);
        assert.equal(typeof line.ok, 'boolean');
      }
    });

    it('can revoke a member that is online', async () => {
      await network('a', 'b');
      const a = await place.peer('a');
      const b = await place.peer('b', '--connect', addressOf(a));
      await b.event(({ event, peers }) => event === 'peers' && (peers as Line[]).length === 1);
      const revoked = await place.ok('a', 'network', 'revoke', String(b.ready.device));
      assert.deepEqual(revoked, { device: b.ready.device, back: [] });
      await b.event(({ event, level }) => event === 'notice' && level === 'warning');
      assert.deepEqual((await place.run('a', 'peers')).lines, []);
      assertFails(await place.run('b', 'network', 'revoke', String(a.ready.device)), 1, /creat|root|revoke/i);
    });
  });

  describe('tracker', () => {
    it('introduces peers, and ends when it is told to', async () => {
      const { process: tracker, ready } = await place.tracker();
      assert.match(String(ready.http), /^http:\/\/127\.0\.0\.1:\d+\/announce$/);
      assert.match(String(ready.udp), /^udp:\/\/127\.0\.0\.1:\d+\/announce$/);
      const { invite } = await place.ok('a', 'network', 'create', 'team', '--tracker', String(ready.http));
      await place.ok('b', 'network', 'join', String(invite));
      const a = await place.peer('a');
      const peers = await place.run('b', 'peers', '--wait', '90', '--no-lan', '--listen', '127.0.0.1:0');
      assert.equal(peers.lines[0]?.device, a.ready.device, peers.stderr);
      assert.equal((await tracker.end()).code, 0);
    });

    it('ends with its command, however that ends', async () => {
      const tracker = await place.tracker();
      // Its output closes when the tracker itself has ended.
      await tracker.process.end('SIGKILL');
      await assert.rejects(fetch(tracker.url));
    });

    it('says which port is taken', async () => {
      const { port } = new URL((await place.tracker()).url);
      assertFails(await place.start(['tracker', '--host', '127.0.0.1', '--port', port]).result, 1, /is in use/);
    });
  });

  it('shows a progress bar and asks about risky files on a terminal', async function () {
    const script = spawn('script', ['--version'], { stdio: 'ignore' });
    const [code] = await once(script, 'close').catch(() => [1]);
    if (code !== 0) this.skip();
    await network('a', 'b');
    await file('work/.vscode/tasks.json', 100);
    await file('work/data.bin', 8 * MIB);
    await place.ok('a', 'share', place.path('work'));
    const a = await place.peer('a', '--upload-limit', '8M');
    const command = [
      process.execPath,
      cli.main,
      'get',
      'work',
      '--home',
      place.path('b'),
      '--out',
      place.path('out'),
      '--connect',
      addressOf(a),
      '--no-lan',
    ];
    const launcher = place.path('launch.sh');
    await writeFile(launcher, `#!/bin/sh\nexec ${command.map((word) => `'${word}'`).join(' ')}\n`);
    await chmod(launcher, 0o755);
    const terminal = spawn('script', ['-qec', launcher, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] });
    let shown = '';
    terminal.stdout.on('data', (chunk) => (shown += String(chunk)));
    const closed = once(terminal, 'close');
    while (!shown.includes('[y/N]'))
      await Promise.race([once(terminal.stdout, 'data'), closed.then(() => assert.fail(shown))]);
    assert.match(shown, /\.vscode\/tasks\.json/);
    terminal.stdin.write('y\n');
    const [end] = await closed;
    assert.equal(end, 0, shown);
    assert.match(shown, /█.*\d+%.*of 8\.4 MB, .*\/s.* left, 1 source/);
    assert.match(shown, /Got “work” \(8\.4 MB\) in .* from /);
    assert.equal((await stat(place.path('out/work/data.bin'))).size, 8 * MIB);
  });
});
