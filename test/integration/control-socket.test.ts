import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PeerwireError } from '../../src/common/errors.ts';
import { Emitter } from '../../src/common/event.ts';
import type { PeerApi, PeerEvent } from '../../src/peer/api.ts';
import { PEER_API_METHODS } from '../../src/peer/api-methods.ts';
import { controlPath } from '../../src/peer/control-path.ts';
import { ControlSocket, connectToHome, type RunningPeer } from '../../src/peer/control-socket.ts';

/** A peer that answers `peers`, never answers `diagnose`, and knows nothing else. */
function fakePeer(): { api: PeerApi; events: Emitter<PeerEvent> } {
  const events = new Emitter<PeerEvent>();
  const refuse = async (): Promise<never> => {
    throw new PeerwireError('not-found', 'Not here.');
  };
  const methods = Object.fromEntries(PEER_API_METHODS.map((name) => [name, refuse]));
  const api: PeerApi = {
    ...(methods as unknown as PeerApi),
    onEvent: events.event,
    peers: async () => [],
    diagnose: () => new Promise(() => undefined),
  };
  return { api, events };
}

const isBusy = (error: unknown): boolean => error instanceof PeerwireError && error.code === 'busy';

describe('control socket', function () {
  this.timeout(120_000);
  let folder = '';
  let home = '';
  const open: (ControlSocket | RunningPeer)[] = [];
  const children: ChildProcess[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'peerwire-control-'));
    home = path.join(folder, 'home');
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    for (const item of open.splice(0)) await ('close' in item ? item.close() : item.dispose());
    await rm(folder, { recursive: true, force: true });
  });

  async function claim(temporary = false): Promise<ControlSocket> {
    const socket = await ControlSocket.claim(home);
    open.push(socket);
    socket.serve(fakePeer().api, { temporary });
    return socket;
  }

  async function attach(where = home): Promise<RunningPeer> {
    const peer = await connectToHome(where);
    assert.ok(peer, 'nobody runs there');
    open.push(peer);
    return peer;
  }

  /** Another process that holds the home. */
  async function holder(): Promise<ChildProcess> {
    const module = new URL('../../src/peer/control-socket.ts', import.meta.url).href;
    const script = `
      const { ControlSocket } = await import(${JSON.stringify(module)});
      await ControlSocket.claim(${JSON.stringify(home)});
      console.log('claimed');
      setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(child);
    await once(child.stdout!, 'data');
    return child;
  }

  it('finds nobody in an empty home', async () => {
    assert.equal(await connectToHome(home), undefined);
  });

  it('answers calls and sends events, errors keeping their code', async () => {
    const control = await ControlSocket.claim(home);
    open.push(control);
    const { api, events } = fakePeer();
    control.serve(api, { temporary: true });
    const peer = await attach();
    assert.deepEqual([peer.pid, peer.temporary], [process.pid, true]);
    assert.deepEqual(await peer.peers(), []);
    await assert.rejects(peer.status(), (error) => error instanceof PeerwireError && error.code === 'not-found');
    const received = new Promise((resolve) => peer.onEvent(resolve));
    await peer.peers();
    events.fire({ event: 'notice', level: 'info', message: 'line\nbreak – ünïcode' });
    assert.deepEqual(await received, { event: 'notice', level: 'info', message: 'line\nbreak – ünïcode' });
  });

  it('lets a home have one peer', async () => {
    const first = await claim();
    await assert.rejects(ControlSocket.claim(home), isBusy);
    await first.close();
    assert.equal(await connectToHome(home), undefined);
    await claim();
  });

  it('lets one of many starters win', async () => {
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => ControlSocket.claim(home)));
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    open.push(...won);
    assert.equal(won.length, 1);
    for (const result of results)
      if (result.status === 'rejected') assert.ok(isBusy(result.reason), String(result.reason));
  });

  it('takes over what a killed process left, and only one of many does', async () => {
    const child = await holder();
    await assert.rejects(ControlSocket.claim(home), isBusy);
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.equal(await connectToHome(home), undefined);
    const results = await Promise.allSettled(Array.from({ length: 8 }, () => ControlSocket.claim(home)));
    const won = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
    open.push(...won);
    assert.equal(won.length, 1);
    won[0]!.serve(fakePeer().api, { temporary: false });
    assert.deepEqual(await (await attach()).peers(), []);
  });

  it('takes over a start lock of a process that was killed while starting', async function () {
    if (process.platform === 'win32') this.skip();
    const lock = `${await controlPath(home)}.starting`;
    await mkdir(lock);
    await utimes(lock, new Date(Date.now() - 60_000), new Date(Date.now() - 60_000));
    await claim();
    assert.deepEqual((await readdir(home)).sort(), ['control.sock']);
  });

  it('rejects open calls when the peer ends, and says so', async () => {
    const control = await claim();
    const peer = await attach();
    const closed = new Promise<void>((resolve) => peer.onClose(resolve));
    const call = peer.diagnose();
    // Answered after the call above has arrived.
    await peer.peers();
    await control.close();
    await assert.rejects(call, (error) => error instanceof PeerwireError && error.code === 'closed');
    await closed;
  });

  it('retires when the last command has gone; later ones wait and then find the home free', async () => {
    const control = await claim(true);
    const peer = await attach();
    await peer.peers();
    let retired = false;
    const retiring = control.retire().then(() => {
      retired = true;
    });
    await peer.peers();
    assert.equal(retired, false);
    peer.dispose();
    await retiring;
    const later = connectToHome(home);
    await assert.rejects(ControlSocket.claim(home), isBusy);
    await control.close();
    assert.equal(await later, undefined);
  });

  it('keeps commands waiting until the peer is up', async () => {
    const control = await ControlSocket.claim(home);
    open.push(control);
    const attaching = attach();
    await assert.rejects(ControlSocket.claim(home), isBusy);
    control.serve(fakePeer().api, { temporary: false });
    assert.deepEqual(await (await attaching).peers(), []);
  });

  it('works from a home whose path is too long for a socket, and by another path to it', async function () {
    if (process.platform === 'win32') this.skip();
    home = path.join(folder, 'long-'.repeat(20), 'home');
    await claim();
    const link = path.join(folder, 'link');
    await symlink(home, link);
    assert.deepEqual(await (await attach(link)).peers(), []);
  });

  it('is open to its user alone', async function () {
    if (process.platform === 'win32') this.skip();
    await claim();
    assert.equal((await stat(await controlPath(home))).mode & 0o777, 0o600);
    assert.equal((await stat(home)).mode & 0o777, 0o700);
  });

  it('does not remove a file that is not a socket', async function () {
    if (process.platform === 'win32') this.skip();
    const file = await controlPath(home);
    await writeFile(file, 'mine');
    await assert.rejects(ControlSocket.claim(home), /in the way/);
    assert.equal((await stat(file)).size, 4);
  });
});
