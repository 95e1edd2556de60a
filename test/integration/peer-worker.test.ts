import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import { PeerwireError } from '../../src/common/errors.ts';
import { portChannel } from '../../src/common/port-channel.ts';
import { connect, serve, subchannel } from '../../src/common/rpc.ts';
import type { PeerApi } from '../../src/peer/api.ts';
import {
  PEER_API_METHODS,
  PEER_LIFECYCLE_METHODS,
  type PeerLifecycle,
  SECRET_STORE_METHODS,
} from '../../src/peer/api-methods.ts';
import type { PeerWorkerData } from '../../src/peer/peer-thread.ts';

const source = (name: string): string => path.resolve(import.meta.dirname, '../../src/peer', name);

describe('peer worker', function () {
  this.timeout(120_000);
  let home = '';
  const workers: Worker[] = [];

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'peerwire-worker-'));
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.terminate();
    await rm(home, { recursive: true, force: true });
  });

  /** The main thread's side: secrets in memory, the log in a list. */
  function start(secrets: Map<string, string>, change: Partial<PeerWorkerData> = {}) {
    const workerData: PeerWorkerData = {
      ...{ home, instanceDir: home, deviceName: 'tester', listen: { host: '127.0.0.1', port: 0 }, lan: false },
      hashWorker: source('hash-worker.ts'),
      ...change,
    };
    const worker = new Worker(source('peer-worker.ts'), { workerData });
    workers.push(worker);
    const channel = portChannel(worker);
    const log: unknown[] = [];
    subchannel(channel, 'log').onMessage((line) => log.push(line));
    const store = {
      get: async (key: string) => secrets.get(key),
      set: async (key: string, value: string) => void secrets.set(key, value),
      delete: async (key: string) => void secrets.delete(key),
    };
    serve(store, SECRET_STORE_METHODS, subchannel(channel, 'secrets'));
    const lifecycle = connect<PeerLifecycle>(subchannel(channel, 'lifecycle'), PEER_LIFECYCLE_METHODS);
    const peer = connect<PeerApi>(subchannel(channel, 'peer'), PEER_API_METHODS);
    return { worker, lifecycle, peer, log };
  }

  it('opens a peer that keeps its secrets with the main thread, and stores it on close', async () => {
    const secrets = new Map<string, string>();
    const first = start(secrets);
    // A call that comes before the peer is open waits for it.
    const early = first.peer.status();
    await first.lifecycle.open();
    const { device, name, port } = await early;
    assert.equal(name, 'tester');
    assert.ok(port !== undefined && port > 0);
    assert.ok(secrets.size > 0);

    const changed = new Promise((resolve) => {
      first.peer.onEvent((event) => {
        if (event.event === 'networks') resolve(event);
      });
    });
    const { network } = await first.peer.createNetwork({ name: 'team', trackers: [] });
    await changed;
    await assert.rejects(first.peer.leaveNetwork('other'), (error) => {
      assert.ok(error instanceof PeerwireError);
      return error.code === 'not-found';
    });
    await first.lifecycle.close();
    await assert.rejects(first.peer.status(), /closed/);
    await first.worker.terminate();

    const second = start(secrets);
    assert.equal((await second.peer.status()).device, device);
    assert.deepEqual(
      (await second.peer.networks()).map((info) => info.network),
      [network.network],
    );
    await second.lifecycle.close();
  });

  it('rejects open with the reason, and closes all the same', async () => {
    const { lifecycle, peer } = start(new Map([['identity', 'not a key']]));
    await assert.rejects(lifecycle.open());
    await assert.rejects(peer.status());
    await lifecycle.close();
  });

  it('rejects what is open when the thread dies', async () => {
    const { worker, lifecycle, peer } = start(new Map());
    await lifecycle.open();
    const exit = once(worker, 'exit');
    const open = peer.scan({ paths: ['/'] });
    await worker.terminate();
    await exit;
    await assert.rejects(open, (error) => error instanceof PeerwireError && error.code === 'closed');
  });
});
