import assert from 'node:assert/strict';
import { extendedHandshake, hostilePeer } from './hostile-peer.ts';
import { type SimPeer, Simulation } from './simulation.ts';

const MiB = 1024 * 1024;
const SIZE = 8 * MiB;
const UPLINK = 1_000_000;
/** Milliseconds that the origin needs to send everything once. */
const ONCE = (SIZE / UPLINK) * 1000;
const LINK = { latency: 10, rate: 50_000_000 };
const seed = Number(process.env.SIM_SEED ?? Math.floor(Math.random() * 2 ** 31));

describe(`super-seeding from one capped origin (SIM_SEED=${seed})`, () => {
  let sim: Simulation;
  let origin: SimPeer;
  beforeEach(() => {
    sim = new Simulation(seed, [SIZE], 65_536);
    origin = sim.addPeer('origin', 'all', UPLINK);
  });
  afterEach(() => sim.dispose());

  /** Receivers that are connected to the origin. `upload` in bytes per second; 0: unlimited. */
  function receivers(count: number, upload = 0): SimPeer[] {
    return Array.from({ length: count }, (_, index) => {
      const receiver = sim.addPeer(`r${index}-${upload}`, 'none', upload);
      sim.connect(receiver, origin, LINK);
      return receiver;
    });
  }

  function mesh(peers: readonly SimPeer[]): void {
    for (const [index, peer] of peers.entries())
      for (const other of peers.slice(index + 1)) sim.connect(peer, other, LINK);
  }

  /** Runs until all have everything. Returns the time as a multiple of `ONCE` and what left the origin as one of the size. */
  async function spread(peers: readonly SimPeer[]): Promise<{ time: number; upload: number }> {
    assert.ok(
      await sim.clock.run(() => peers.every((peer) => peer.completed), 40 * ONCE),
      'not everybody got everything',
    );
    for (const peer of peers) assert.ok(sim.isComplete(peer));
    const sent = origin.swarm.accounts().reduce((sum, account) => sum + account.uploaded, 0);
    return { time: sim.clock.now() / ONCE, upload: sent / SIZE };
  }

  for (const count of [2, 8, 16]) {
    it(`${count} receivers: each piece leaves the origin about once, and all have it soon after`, async () => {
      const peers = receivers(count);
      mesh(peers);
      const { time, upload } = await spread(peers);
      assert.ok(upload <= 1.1, `the origin sent ${upload} times the size`);
      assert.ok(time <= 1.1, `it took ${time} times as long as sending it once`);
    }).timeout(180_000);
  }

  it('one receiver is served as ever', async () => {
    const { time, upload } = await spread(receivers(1));
    assert.equal(upload, 1);
    assert.ok(time <= 1.03, `${time}`);
  });

  it('receivers that cannot reach one another get everything from the origin, without a pause', async () => {
    const { time } = await spread(receivers(4));
    assert.ok(time <= 4.1, `${time}`);
  });

  it('receivers that pass nothing on hold up nobody', async () => {
    const peers = receivers(4, 1);
    mesh(peers);
    const { time } = await spread(peers);
    assert.ok(time <= 4.1, `${time}`);
  });

  it('when the receivers’ own uplinks are the bottleneck, the origin sends what they cannot', async () => {
    const peers = receivers(4, UPLINK / 10);
    mesh(peers);
    const { time } = await spread(peers);
    // Kumar & Ross: N·F / (u_s + Σu_i).
    assert.ok(time <= (4 / 1.4) * 1.1, `${time}`);
  });

  it('two groups that cannot reach each other each get it from the origin', async () => {
    const peers = receivers(4);
    mesh(peers.slice(0, 2));
    mesh(peers.slice(2));
    const { time } = await spread(peers);
    assert.ok(time <= 2 * 1.3, `${time}`);
  });

  it('one that joins when half is sent gets the first half from the others', async () => {
    const peers = receivers(3);
    mesh(peers);
    await sim.clock.run(() => false, ONCE / 2);
    const late = receivers(1)[0]!;
    for (const peer of peers) sim.connect(late, peer, LINK);
    const { time, upload } = await spread([...peers, late]);
    assert.ok(upload <= 1.15, `the origin sent ${upload} times the size`);
    assert.ok(time <= 1.15, `${time}`);
  });

  it('a peer that keeps every piece busy with requests for single bytes holds up nobody', async () => {
    const { pieceCount } = sim.version.info;
    const evil = hostilePeer(sim, origin, 'evil');
    evil.send(extendedHandshake({}), { type: 'have-none' }, { type: 'interested' });
    const ask = (): void => {
      for (let piece = 0; piece < pieceCount; piece++) evil.send({ type: 'request', piece, begin: 0, length: 1 });
      // So that the uplink is never idle.
      for (let round = 0; round < 8; round++) evil.send({ type: 'request', piece: 0, begin: 0, length: 16_384 });
    };
    const timer = sim.clock.setInterval(ask, 100);
    const peers = receivers(3);
    mesh(peers);
    const { time } = await spread(peers);
    timer.dispose();
    // Four share the uplink.
    assert.ok(time <= 1.4, `${time}`);
  });

  for (const [name, ask] of [
    ['a block of every piece in turn', everyPiece],
    ['one piece after the other, of which it reads 4 KiB/s', slowReader],
  ] as const) {
    it(`a hog that asks for ${name} costs the others less than its share`, async () => {
      const stop = ask();
      const peers = receivers(3);
      mesh(peers);
      const { time } = await spread(peers);
      stop();
      // Four share the uplink, and a quarter that the hog does not take is the others'.
      assert.ok(time <= 1.28, `${time}`);
    });
  }

  /** 4 KiB/s of each. */
  function everyPiece(): () => void {
    const { pieceCount } = sim.version.info;
    const evil = hostilePeer(sim, origin, 'evil');
    evil.send(extendedHandshake({}), { type: 'have-none' }, { type: 'interested' });
    let block = 0;
    const timer = sim.clock.setInterval(() => {
      for (let piece = 0; piece < pieceCount; piece++)
        evil.send({ type: 'request', piece, begin: (block % 4) * 16_384, length: 16_384 });
      block++;
    }, 4_000);
    return () => timer.dispose();
  }

  function slowReader(): () => void {
    const { pieceCount } = sim.version.info;
    const link = { latency: 1, rate: 1_000_000, back: 4_096, window: 65_536 };
    const evil = hostilePeer(
      sim,
      origin,
      'evil',
      ({ type }) => {
        if (type !== 'unchoke') return;
        for (let piece = 0; piece < pieceCount; piece++)
          for (let begin = 0; begin < 65_536; begin += 16_384)
            evil.send({ type: 'request', piece, begin, length: 16_384 });
      },
      link,
    );
    evil.send(extendedHandshake({}), { type: 'have-none' }, { type: 'interested' });
    return () => {};
  }

  it('beside another source, however slow, everybody is served as ever', async () => {
    const other = sim.addPeer('other', 'all', UPLINK / 10);
    const peers = receivers(3);
    mesh(peers);
    for (const peer of peers) sim.connect(peer, other, LINK);
    const { time } = await spread(peers);
    assert.ok(time <= 1.3, `${time}`);
  });
});
