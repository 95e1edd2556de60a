import assert from 'node:assert/strict';
import type { Disposable } from '../../../src/common/disposable.ts';
import { PendingSockets } from '../../../src/transport/pending-sockets.ts';
import { WaitingRoom } from '../../../src/transport/waiting-room.ts';
import { VirtualClock } from '../../sim/virtual-clock.ts';
import { advance } from '../peer/network/support.ts';

const [HERE, THERE] = ['192.0.2.1', '198.51.100.7'];

describe('WaitingRoom', () => {
  let clock: VirtualClock;
  let room: WaitingRoom;
  let log: string[];
  /** How those who are in leave. */
  let leave: Map<string, () => void>;

  beforeEach(() => {
    clock = new VirtualClock(1);
    log = [];
    leave = new Map();
    // Two places from one address, three in all; as many wait.
    room = new WaitingRoom(
      new PendingSockets(3, 2),
      { waiting: 3, waitingPerAddress: 2, patience: 1_000, tenure: 2_000 },
      clock,
    );
  });

  function come(name: string, address: string): Disposable {
    return room.admit(address, {
      enter: (left) => {
        log.push(`${name} enters`);
        leave.set(name, left);
      },
      displace: () => log.push(`${name} is displaced`),
      refuse: () => log.push(`${name} is refused`),
    });
  }

  it('lets in at once as many as there are places, and the others in the order in which they came', () => {
    for (const name of ['a', 'b', 'c', 'd']) come(name, HERE);
    assert.deepEqual([log, room.waiting], [['a enters', 'b enters'], 2]);
    leave.get('b')!();
    leave.get('a')!();
    assert.deepEqual(log.slice(2), ['c enters', 'd enters']);
    assert.equal(room.waiting, 0);
  });

  it('passes by who waits for a place of its own address, while others have one', () => {
    for (const name of ['a', 'b', 'c']) come(name, HERE);
    come('d', THERE);
    come('e', THERE);
    assert.deepEqual(log, ['a enters', 'b enters', 'd enters']);
    leave.get('d')!();
    assert.deepEqual(log.slice(3), ['e enters'], 'c came first, but both places of its address are taken');
  });

  it('refuses at once whom it has no room for: of one address, and of all', () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) come(name, HERE);
    assert.deepEqual(log.slice(2), ['e is refused']);
    for (const name of ['f', 'g', 'h']) come(name, THERE);
    assert.deepEqual(log.slice(3), ['f enters', 'h is refused']);
    assert.equal(room.waiting, 3);
  });

  it('refuses who has waited in vain, and only then', async () => {
    for (const name of ['a', 'b', 'c']) come(name, HERE);
    await advance(clock, 999);
    assert.equal(room.waiting, 1);
    await advance(clock, 1);
    assert.deepEqual(log.slice(2), ['c is refused']);
    leave.get('a')!();
    assert.equal(log.length, 3);
  });

  it('forgets who goes away, and makes room for the next', async () => {
    for (const name of ['a', 'b']) come(name, HERE);
    come('c', HERE).dispose();
    for (const name of ['d', 'e']) come(name, HERE);
    assert.equal(room.waiting, 2);
    leave.get('a')!();
    assert.deepEqual(log.slice(2), ['d enters']);
    assert.equal(clock.pending, 1, 'a timer for who waits, and for nobody else');
  });

  it('gives the place of who has had it for long to who comes, and to nobody before that', async () => {
    for (const name of ['a', 'b']) come(name, HERE);
    await advance(clock, 500);
    come('c', THERE);
    await advance(clock, 1_499);
    come('d', THERE);
    assert.deepEqual(log.slice(3), [], 'd waits');
    await advance(clock, 1);
    come('e', THERE);
    assert.deepEqual(log.slice(3), ['a is displaced', 'e enters']);
    // It comes to hear of that later, and has nothing to give back.
    leave.get('a')!();
    assert.deepEqual(log.slice(5), []);
    come('f', HERE);
    assert.deepEqual(log.slice(5), ['b is displaced', 'f enters']);
    leave.get('e')!();
    assert.deepEqual(log.slice(7), ['d enters']);
  });

  it('lets nobody displace others by crowding its own address: it displaces its own', async () => {
    for (const name of ['a', 'b']) come(name, HERE);
    await advance(clock, 100);
    come('c', THERE);
    await advance(clock, 5_000);
    come('d', HERE);
    assert.deepEqual(log.slice(3), ['a is displaced', 'd enters']);
    come('e', HERE);
    assert.deepEqual(log.slice(5), ['b is displaced', 'e enters']);
    come('f', HERE);
    assert.deepEqual(log.slice(7), [], 'its own are new, and c is none of them');
  });

  it('refuses all when it closes', () => {
    for (const name of ['a', 'b', 'c', 'd']) come(name, HERE);
    room.dispose();
    assert.deepEqual(log.slice(2), ['c is refused', 'd is refused']);
    assert.deepEqual([room.waiting, clock.pending], [0, 0]);
  });
});
