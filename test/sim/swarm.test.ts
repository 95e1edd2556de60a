import assert from 'node:assert/strict';
import { encode } from '../../src/bittorrent/bencode.ts';
import { BLOCK_SIZE, sha256 } from '../../src/bittorrent/merkle.ts';
import { PeerwireError } from '../../src/common/errors.ts';
import { infoHashFromBytes } from '../../src/common/ids.ts';
import { hostilePeer } from './hostile-peer.ts';
import { seededRandom } from './seeded-random.ts';
import { Simulation } from './simulation.ts';

const MiB = 1024 * 1024;
/** The message that announces a piece (BEP 3). */
const HAVE_ID = 4;
const HAVE_SIZE = 9;
/** Sizes around every boundary: empty, one byte, a block less and more one, several pieces. */
const SIZES = [0, 1, 16_383, 16_384, 16_385, 65_536, 65_537, 3 * MiB + 12_345];
const seed = Number(process.env.SIM_SEED ?? Math.floor(Math.random() * 2 ** 31));

describe(`swarm simulation (SIM_SEED=${seed})`, () => {
  let sim: Simulation;
  afterEach(() => {
    sim.dispose();
    for (const peer of sim.peers) assert.equal(peer.buffers.used, 0, `${peer.name} leaked piece buffers`);
  });

  it('one source to one receiver, every byte right and none twice', async () => {
    sim = new Simulation(seed, SIZES, 65_536);
    const source = sim.addPeer('source', 'all');
    const receiver = sim.addPeer('receiver', 'none');
    sim.connect(receiver, source);
    assert.ok(await sim.clock.run(() => receiver.completed, 60_000), 'it did not complete');
    assert.ok(sim.isComplete(receiver));
    assert.equal(receiver.swarm.fetched, sim.version.info.size);
  });

  it('metadata and piece layers come from the peer too', async () => {
    sim = new Simulation(seed, SIZES, 65_536);
    const source = sim.addPeer('source', 'all');
    const newcomer = sim.addNewcomer('newcomer');
    sim.connect(source, newcomer);
    assert.ok(await sim.clock.run(() => newcomer.swarm.info !== undefined, 10_000), 'no metadata');
    const abort = new AbortController();
    let layers: Map<string, Buffer> | undefined;
    void newcomer.swarm.fetchLayers(abort.signal).then((fetched) => {
      layers = fetched;
    });
    assert.ok(await sim.clock.run(() => layers !== undefined, 10_000), 'no layers');
    for (const [root, layer] of sim.version.layers) assert.ok(layers?.get(root)?.equals(layer));
    const { info } = sim.version;
    newcomer.swarm.provide({ info, layers: layers ?? new Map(), have: newcomer.have, storage: () => newcomer.storage });
    newcomer.swarm.download(Array.from({ length: info.pieceCount }, (_, index) => index));
    assert.ok(await sim.clock.run(() => newcomer.completed, 60_000), 'it did not complete');
    assert.ok(sim.isComplete(newcomer));
  });

  it('metadata with hostile names is refused with the reason, whoever signed it', async () => {
    for (const name of ['../evil', '/etc/passwd', '..\\evil', 'CON', 'name.', 'a\u202eb', 'x'.repeat(300)]) {
      sim = new Simulation(seed, [1], 65_536);
      const leaf = new Map([['', { length: 1, 'pieces root': Buffer.alloc(32, 1) }]]);
      const tree = new Map([[Buffer.from(name).toString('latin1'), leaf]]);
      const bytes = encode({ 'file tree': tree, 'meta version': 2, name: 'share', 'piece length': 65_536 });
      const infoHash = infoHashFromBytes(sha256(bytes));
      sim.version = { ...sim.version, info: { ...sim.version.info, bytes, infoHash } };
      const source = sim.addPeer('source', 'all');
      const newcomer = sim.addNewcomer('newcomer');
      sim.connect(newcomer, source);
      assert.ok(await sim.clock.run(() => newcomer.problems.length > 0, 10_000), `“${name}” was not refused`);
      assert.equal(newcomer.problems[0]?.code, 'unsafe-path');
      assert.equal(newcomer.swarm.info, undefined);
      sim.dispose();
    }
  });

  it('two sources share the work', async () => {
    sim = new Simulation(seed, [8 * MiB], 65_536);
    const sources = [sim.addPeer('one', 'all'), sim.addPeer('two', 'all')];
    const receiver = sim.addPeer('receiver', 'none');
    for (const source of sources) sim.connect(receiver, source, { latency: 5, rate: 4_000_000 });
    assert.ok(await sim.clock.run(() => receiver.completed, 60_000), 'it did not complete');
    const accounts = receiver.swarm.accounts();
    assert.equal(
      accounts.reduce((sum, account) => sum + account.downloaded, 0),
      sim.version.info.size,
    );
    for (const account of accounts)
      assert.ok(account.downloaded > 2 * MiB, `${account.source} gave only ${account.downloaded}`);
  });

  it('a source that left before its last piece was written is credited with it', async () => {
    sim = new Simulation(seed, [MiB], 65_536);
    const receiver = sim.addPeer('receiver', 'none');
    receiver.storage.delay = () => sim.pause(100);
    const [, sending] = sim.connect(receiver, sim.addPeer('source', 'all'));
    assert.ok(await sim.clock.run(() => receiver.swarm.fetched === MiB, 60_000), 'it did not arrive');
    assert.ok(!receiver.completed);
    sending.close();
    assert.ok(await sim.clock.run(() => receiver.completed, 60_000), 'it was not written');
    assert.deepEqual(
      receiver.swarm.accounts().map(({ source, connected, downloaded }) => ({ source, connected, downloaded })),
      [{ source: 'source', connected: false, downloaded: MiB }],
    );
  });

  it('a receiver serves what it has while it downloads', async () => {
    sim = new Simulation(seed, [4 * MiB], 65_536);
    const origin = sim.addPeer('origin', 'all', 1_000_000);
    const receivers = [sim.addPeer('b', 'none'), sim.addPeer('c', 'none')];
    for (const receiver of receivers) sim.connect(receiver, origin);
    sim.connect(receivers[0]!, receivers[1]!);
    assert.ok(await sim.clock.run(() => receivers.every((peer) => peer.completed), 60_000), 'it did not complete');
    const fromOrigin = origin.swarm.accounts().reduce((sum, account) => sum + account.uploaded, 0);
    assert.ok(fromOrigin < 1.6 * sim.version.info.size, `the origin sent ${fromOrigin}`);
  });

  it('pieces that come soon after each other are announced together, and none is forgotten', async () => {
    sim = new Simulation(seed, [400 * BLOCK_SIZE], BLOCK_SIZE);
    const receiver = sim.addPeer('receiver', 'none');
    const observer = hostilePeer(sim, receiver, 'observer');
    let writes = 0;
    observer.other.onWrite = (chunks) => {
      const isHave = chunks.some((chunk) => chunk.length >= HAVE_SIZE && chunk[4] === HAVE_ID);
      if (isHave) writes++;
    };
    await sim.clock.run(() => observer.received.length > 0, 1_000);
    sim.connect(receiver, sim.addPeer('source', 'all'), { latency: 5, rate: 2_000_000 });
    const started = sim.clock.now();
    assert.ok(await sim.clock.run(() => receiver.completed, 60_000), 'it did not complete');
    const haves = (): Set<number> =>
      new Set(observer.received.flatMap((message) => (message.type === 'have' ? [message.piece] : [])));
    assert.ok(await sim.clock.run(() => haves().size === 400, 1_000), `${haves().size} announced`);
    // Ten times a second.
    const most = (sim.clock.now() - started) / 100 + 2;
    assert.ok(writes > 5 && writes <= most, `${writes} times in ${sim.clock.now() - started} ms`);
  });

  it('a source that dies or stalls is replaced by another', async () => {
    for (const fault of ['dies', 'stalls'] as const) {
      sim = new Simulation(seed, [4 * MiB], 65_536);
      const first = sim.addPeer('first', 'all');
      const second = sim.addPeer('second', 'all');
      const receiver = sim.addPeer('receiver', 'none');
      const [, sending] = sim.connect(receiver, first, { latency: 5, rate: 1_000_000 });
      sim.connect(receiver, second, { latency: 50, rate: 500_000 });
      await sim.clock.run(() => receiver.have.count > 5, 60_000);
      if (fault === 'dies') sending.close(new PeerwireError('connection', 'died'));
      else sending.stalled = true;
      assert.ok(await sim.clock.run(() => receiver.completed, 120_000), `it did not complete when one ${fault}`);
      assert.ok(sim.isComplete(receiver));
      sim.dispose();
    }
  });

  for (const where of ['storage writes', 'the hashing thread writes']) {
    it(`a lying source is dropped alone, and nothing wrong is written or served (${where})`, async () => {
      sim = new Simulation(seed, [4 * MiB], 262_144);
      sim.writingThreads = where === 'the hashing thread writes';
      const honest = sim.addPeer('honest', 'all');
      const liar = sim.addPeer('liar', 'all');
      const random = seededRandom(seed + 1);
      liar.storage.corrupt = (_file, _offset, view) => {
        for (let at = 0; at < view.length; at += BLOCK_SIZE) if (random() < 0.05) view[at] = (view[at] ?? 0) ^ 1;
      };
      const receiver = sim.addPeer('receiver', 'none');
      const corrupt: string[] = [];
      receiver.swarm.onCorrupt((source) => corrupt.push(source));
      for (const source of [honest, liar]) sim.connect(receiver, source);
      const right = () => sim.wrongPiece(receiver) === undefined;
      assert.ok(await sim.clock.run(() => receiver.completed || !right(), 120_000), 'it did not complete');
      assert.ok(sim.isComplete(receiver));
      assert.deepEqual([...new Set(corrupt)], ['liar']);
      assert.ok(receiver.swarm.isBanned('liar'));
      assert.ok(!receiver.swarm.isBanned('honest'));
    });

    it(`a full disk pauses without losing anything, and goes on when there is room (${where})`, async () => {
      sim = new Simulation(seed, [4 * MiB], 131_072);
      sim.writingThreads = where === 'the hashing thread writes';
      const source = sim.addPeer('source', 'all');
      const receiver = sim.addPeer('receiver', 'none');
      sim.connect(receiver, source);
      await sim.clock.run(() => receiver.have.count > 3, 60_000);
      receiver.storage.writeError = new PeerwireError('disk-full', 'No space left.');
      assert.ok(await sim.clock.run(() => receiver.problems.length > 0, 60_000), 'no problem was reported');
      assert.equal(receiver.problems[0]?.code, 'disk-full');
      const before = receiver.have.count;
      receiver.storage.writeError = undefined;
      receiver.swarm.resume();
      assert.ok(await sim.clock.run(() => receiver.completed, 60_000), 'it did not complete');
      assert.ok(receiver.have.count > before);
      assert.ok(sim.isComplete(receiver));
    });
  }
});
