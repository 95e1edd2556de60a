import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { PeerwireError } from '../../../src/common/errors.ts';
import { once } from '../../../src/common/event.ts';
import { silentLogger } from '../../../src/common/log.ts';
import { PeerClient, type PeerClientState, type PeerDeath } from '../../../src/extension/peer-client.ts';
import { PeerState } from '../../../src/extension/peer-state.ts';
import type { PeerApi } from '../../../src/peer/api.ts';

const SOURCES = path.resolve(import.meta.dirname, '../../../src');
const ENTRY = path.join(SOURCES, 'peer/peer-worker.ts');

describe('peer client', function () {
  this.timeout(120_000);
  let home: string;
  const secrets = new Map<string, string>();
  const clients: PeerClient[] = [];

  beforeEach(async () => {
    home = await mkdtemp(path.join(tmpdir(), 'peerwire-client-'));
    secrets.clear();
  });

  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.stop()));
    await rm(home, { recursive: true, force: true });
  });

  function client(entry = ENTRY, released: string[] = []): PeerClient {
    const made = new PeerClient({
      entry,
      logger: silentLogger,
      prepare: async () => ({
        data: {
          home,
          instanceDir: path.join(home, 'instance'),
          deviceName: 'ann',
          listen: { host: '127.0.0.1', port: 0 },
          lan: false,
          limits: { upload: 0, download: 0 },
          hashWorker: path.join(SOURCES, 'peer/hash-worker.ts'),
        },
        secrets: {
          get: async (key) => secrets.get(key),
          set: async (key, value) => void secrets.set(key, value),
          delete: async (key) => void secrets.delete(key),
        },
        release: { dispose: () => released.push('released') },
      }),
    });
    clients.push(made);
    return made;
  }

  it('starts nothing until it is asked, then one peer for all who ask', async () => {
    const one = client();
    assert.equal(one.state, 'stopped');
    const [first, second] = await Promise.all([one.api(), one.api()]);
    assert.equal(first, second);
    assert.equal((await first.status()).name, 'ann');
    assert.equal(one.state, 'running');
  });

  it('keeps identity and networks over a restart, and the keys on this side', async () => {
    const released: string[] = [];
    const one = client(ENTRY, released);
    const before = await one.api();
    const { device } = await before.status();
    await before.createNetwork({ name: 'Team', trackers: [] });
    assert.ok(secrets.has('identity'));
    await one.stop();
    assert.deepEqual([one.state, released], ['stopped', ['released']]);
    await assert.rejects(before.status(), (error) => error instanceof PeerwireError && error.code === 'closed');
    const after = await one.api();
    assert.equal((await after.status()).device, device);
    assert.deepEqual(
      (await after.networks()).map((network) => network.name),
      ['Team'],
    );
  });

  it('passes events and coded errors on', async () => {
    const one = client();
    const api = await one.api();
    const event = once(api.onEvent, ({ event }) => event === 'networks');
    await api.createNetwork({ name: 'Team', trackers: [] });
    await event;
    await assert.rejects(
      api.previewInvite('nonsense'),
      (error) => error instanceof PeerwireError && error.code === 'invalid-invite',
    );
  });

  it('starts a peer that died again, and gives up when it dies too often', async () => {
    const entry = path.join(home, 'mortal.ts');
    const url = (file: string): string => JSON.stringify(pathToFileURL(path.join(SOURCES, file)).href);
    await writeFile(
      entry,
      `import { parentPort } from 'node:worker_threads';
       import { portChannel } from ${url('common/port-channel.ts')};
       import { serve, subchannel } from ${url('common/rpc.ts')};
       const channel = portChannel(parentPort);
       serve({ open: async () => {}, close: async () => {} }, ['open', 'close'], subchannel(channel, 'lifecycle'));
       serve({ status: () => { throw setTimeout(() => { throw new Error('boom'); }); } }, ['status'], subchannel(channel, 'peer'));`,
    );
    const one = client(entry);
    const deaths: PeerDeath[] = [];
    one.onDeath((death) => deaths.push(death));
    for (let died = 1; died <= 3; died++) {
      const api = await one.api();
      const dead = once(one.onDeath);
      await assert.rejects(api.status());
      await dead;
      assert.equal(deaths.length, died);
    }
    assert.deepEqual(
      deaths.map((death) => death.restarting),
      [true, true, false],
    );
    assert.match(deaths[0]?.error.message ?? '', /boom/);
    assert.equal(one.state, 'failed');
    await one.restart();
    assert.equal(one.state, 'running');
  });

  it('tells why a peer cannot start, and tries again when asked again', async () => {
    const one = client(path.join(home, 'missing.ts'));
    const states: PeerClientState[] = [];
    one.onState((state) => states.push(state));
    await assert.rejects(one.api(), /missing\.ts/);
    await assert.rejects(one.api(), /missing\.ts/);
    assert.deepEqual(states, ['starting', 'failed', 'starting', 'failed']);
  });

  it('ends one that never gets ready, in time for the editor to close', async () => {
    const entry = path.join(home, 'stuck.ts');
    await writeFile(entry, `import { parentPort } from 'node:worker_threads'; parentPort.on('message', () => {});`);
    const released: string[] = [];
    const one = client(entry, released);
    const asked = one.api();
    asked.catch(() => undefined);
    const started = performance.now();
    await one.stop();
    assert.ok(performance.now() - started < 12_000);
    await assert.rejects(asked);
    assert.deepEqual([one.state, released], ['stopped', ['released']]);
  });

  it('feeds what the views show, and empties it when the peer is gone', async () => {
    const one = client();
    const state = new PeerState((error) => assert.fail(String(error)));
    one.onApi((api: PeerApi | undefined) => state.attach(api));
    const api = await one.api();
    await state.ready;
    assert.deepEqual([state.status?.name, state.networks.length, state.transfersKnown], ['ann', 0, true]);
    const changed = once(state.onDidChange, () => state.networks.length === 1);
    await api.createNetwork({ name: 'Team', trackers: [] });
    await changed;
    const file = path.join(home, 'hello.txt');
    await writeFile(file, 'hello');
    const listed = once(state.onDidChange, () => state.shares.length === 1);
    await api.share({ path: file });
    await listed;
    assert.deepEqual([state.shares[0]?.name, state.shares[0]?.own, state.shares[0]?.source], ['hello.txt', true, file]);
    await one.stop();
    assert.deepEqual([state.status, state.networks.length, state.shares.length], [undefined, 0, 0]);
    state.dispose();
  });
});
