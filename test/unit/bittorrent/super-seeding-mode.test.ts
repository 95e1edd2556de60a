import assert from 'node:assert/strict';
import { Bitfield } from '../../../src/bittorrent/bitfield.ts';
import {
  SuperSeedingMode,
  type SuperSeedingModeOptions,
  type SuperSeedingPeer,
  type UploadClient,
} from '../../../src/bittorrent/super-seeding-mode.ts';
import { UploadQueue } from '../../../src/bittorrent/upload-queue.ts';
import type { Message } from '../../../src/bittorrent/wire/messages.ts';
import { seededRandom } from '../../sim/seeded-random.ts';
import { makeVersion } from '../../sim/test-version.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';

const { info } = makeVersion([10 * 16_384], 16_384, seededRandom(1));
const all = (): Bitfield => new Bitfield(info.pieceCount).fill();

class Peer implements SuperSeedingPeer {
  readonly device: string;
  readonly pieces = new Bitfield(info.pieceCount);
  peerInterested = true;
  fast = true;
  readonly sent: Message[] = [];

  constructor(device: string) {
    this.device = device;
  }

  has(piece: number): boolean {
    return this.pieces.has(piece);
  }

  send(message: Message): void {
    this.sent.push(message);
  }
}

class Client implements UploadClient {
  readonly queue = new UploadQueue();
  woken = 0;
  readonly lane = { memory: 0, throttledAt: Number.NEGATIVE_INFINITY, wake: () => void this.woken++ };
}

describe('super-seeding mode', () => {
  let clock: VirtualClock;
  let ann: Peer;
  let ben: Peer;
  let connected: Peer[];
  let clients: Map<Peer, Client>;

  beforeEach(() => {
    clock = new VirtualClock(1);
    ann = new Peer('ann');
    ben = new Peer('ben');
    connected = [ann, ben];
    clients = new Map([ann, ben].map((peer) => [peer, new Client()]));
  });

  function mode(options: Partial<SuperSeedingModeOptions<Peer>> = {}): SuperSeedingMode<Peer> {
    return new SuperSeedingMode(
      {
        info,
        have: all(),
        clock,
        members: true,
        deviceOf: ({ device }) => device,
        sessions: () => connected,
        ...options,
      },
      clients,
    );
  }

  /** The uplink keeps both waiting. */
  function throttle(): void {
    for (const { lane } of clients.values()) lane.throttledAt = clock.now();
  }

  async function pass(ms: number): Promise<void> {
    // Time passes up to the last timer.
    clock.setTimeout(() => {}, ms);
    await clock.run(() => false, ms);
  }

  function started(): SuperSeedingMode<Peer> {
    const made = mode();
    throttle();
    made.tick();
    assert.equal(made.active, true);
    return made;
  }

  it('begins when the uplink keeps several devices waiting for the only complete source', () => {
    const made = mode();
    made.tick();
    assert.equal(made.active, false, 'nobody waits');
    throttle();
    made.tick();
    assert.equal(made.active, true);
  });

  const pointless: [string, Partial<SuperSeedingModeOptions<Peer>>, () => void][] = [
    ['strangers', { members: false }, () => {}],
    ['an incomplete source', { have: new Bitfield(info.pieceCount) }, () => {}],
    ['one device with two windows', { deviceOf: () => 'ann' }, () => {}],
    ['who wants nothing', {}, () => (ben.peerInterested = false)],
    ['who cannot be told to ask elsewhere', {}, () => (ben.fast = false)],
  ];
  for (const [name, options, arrange] of pointless) {
    it(`does not begin for ${name}`, () => {
      arrange();
      throttle();
      const made = mode(options);
      made.tick();
      assert.equal(made.active, false);
    });
  }

  it('does not begin beside a complete source that was there before, and ends 5 s after a receiver became one', async () => {
    const seeder = new Peer('cid');
    seeder.pieces.fill();
    connected.push(seeder);
    throttle();
    const made = mode();
    made.tick();
    assert.equal(made.active, false);
    clients.set(seeder, new Client());
    const other = new Peer('dan');
    connected = [ann, ben, other];
    clients.set(other, new Client());
    made.tick();
    assert.equal(made.active, true);
    other.pieces.fill();
    for (const active of [true, true, true, true, true, false]) {
      throttle();
      made.tick();
      assert.equal(made.active, active, `after ${clock.now()} ms`);
      await pass(1_000);
    }
  });

  it('serves a piece to one at a time, and runs to nobody', () => {
    const made = started();
    assert.equal(made.verdict(ann, 1, 1), 'serve');
    made.onServed(ann, [{ piece: 1, begin: 0, length: 16, pieces: 1 }]);
    clients.get(ann)!.lane.memory = 16;
    assert.equal(made.verdict(ben, 1, 1), 'wait');
    assert.deepEqual([1, 2].map(made.turnsOf(ben)!), [false, true]);
    assert.equal(made.verdict(ben, 2, 2), 'elsewhere');
  });

  it('serves everything while the uplink has room', async () => {
    const made = started();
    made.onServed(ann, [{ piece: 1, begin: 0, length: 16, pieces: 1 }]);
    await pass(251);
    assert.equal(made.verdict(ben, 1, 1), 'serve');
    assert.equal(made.turnsOf(ben), undefined);
  });

  it('invites whom it sent elsewhere once the uplink has room, and wakes who waits', async () => {
    const made = started();
    made.onHave(ben, 5);
    ann.pieces.add(1);
    assert.equal(made.verdict(ben, 1, 1), 'elsewhere');
    clients.get(ann)!.queue.push({ piece: 2, begin: 0, length: 16, pieces: 1 });
    await pass(200);
    throttle();
    await pass(200);
    assert.deepEqual(ben.sent, [], 'it is busy');
    await pass(300);
    assert.deepEqual(ben.sent, [{ type: 'suggest', piece: 1 }]);
    assert.deepEqual([clients.get(ann)!.woken > 0, clients.get(ben)!.woken], [true, 0]);
  });

  it('ends with the last of the clients, and looks no more whether the uplink has room', () => {
    const made = started();
    for (const peer of [ann, ben]) {
      clients.delete(peer);
      made.remove(peer);
    }
    assert.equal(made.active, false);
    assert.equal(clock.pending, 0);
  });
});
