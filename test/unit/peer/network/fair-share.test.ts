/** Who has to give way in a full store: never those who take little for those who bring many. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { type DeviceId, deviceIdFromHash } from '../../../../src/common/ids.ts';
import { signSection } from '../../../../src/peer/network/catalogue.ts';
import { keyOf, MAX_SECTIONS } from '../../../../src/peer/network/catalogue-store.ts';
import { FairShare, type Kept } from '../../../../src/peer/network/fair-share.ts';
import { MAX_KNOWN, MemberBook } from '../../../../src/peer/network/member-book.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { section, share, type TestPeer, TestRegister, testNode, testPeer } from './support.ts';

const device = (seed: string): DeviceId => deviceIdFromHash(createHash('sha256').update(seed).digest());

describe('the first to go', () => {
  const inviters = new Map<DeviceId, DeviceId>();
  const invite = (inviter: string, ...invited: string[]): void => {
    for (const one of invited) inviters.set(device(one), device(inviter));
  };
  const item = (of: string, time = 1, bytes = 1): Kept => ({ key: `${of} ${time}`, device: device(of), bytes, time });
  const first = (...items: Kept[]): string | undefined => {
    const keys = [items, items.toReversed()].map((order) => {
      const room = new FairShare((one) => inviters.get(one));
      for (const one of order) room.add(one);
      // What was there, and is gone, leaves no trace.
      for (const name of ['ann', 'gone', 'm4']) room.add(item(name, 0, 1e9));
      for (const name of ['ann', 'gone', 'm4']) room.remove(item(name, 0).key);
      return room.first()?.key;
    });
    assert.equal(keys[0], keys[1]);
    return keys[0];
  };

  beforeEach(() => inviters.clear());

  it('is the oldest of who has most', () => {
    assert.equal(first(), undefined);
    assert.equal(first(item('ann'), item('bob', 3), item('bob', 2)), 'bob 2');
    assert.equal(first(item('ann', 9, 100_000), item('bob', 3), item('bob', 2)), 'ann 9');
    assert.equal(first(item('ann', 5), item('bob', 4)), 'bob 4');
  });

  it('is of those whom who brought most brought, however it spread them', () => {
    invite('creator', 'ann', 'bob', 'mallory');
    invite('mallory', 'm1', 'm2');
    invite('m2', 'm3', 'm4');
    const many = ['m1', 'm3', 'm4'].map((one, index) => item(one, 50 + index));
    assert.equal(first(item('ann', 1), item('bob', 2), item('bob', 3), ...many), 'm3 51');
    // Though one whom the creator invited invited all.
    invite('ann', 'bob', 'mallory');
    assert.equal(first(item('ann', 1), item('bob', 2), item('bob', 3), ...many), 'm3 51');
  });

  it('is somebody also where members invited each other in a circle, which no certificate says', () => {
    invite('ann', 'bob');
    invite('bob', 'ann');
    assert.equal(first(item('ann', 2), item('bob', 1)), 'bob 1');
  });
});

describe('a member who invites a thousand devices of its own', function () {
  this.timeout(120_000);

  it('pushes nobody else’s catalogue out, and cannot keep newcomers out', () => {
    const clock = new VirtualClock();
    const register = new TestRegister();
    const node = testNode(clock, register);
    const [creator, mallory, ann] = [testPeer(), testPeer(), testPeer()];
    for (const { device: one } of [mallory, ann]) register.inviters.set(one, creator.device);
    const offer = (peer: TestPeer, time: number): string =>
      node.store.offer(
        signSection(section(peer, { time, shares: [share()] }), peer.identity, Buffer.from(peer.device)).bytes,
      ).kind;
    const now = clock.wallTime();
    assert.equal(offer(ann, now - 1000), 'new');
    // Each has one section, and was invited by the one before it, so that none has or invited many; all are newer than others'.
    let inviter = mallory.device;
    const windows = Array.from({ length: MAX_SECTIONS + 50 }, (_, i) => {
      const sybil = testPeer();
      register.inviters.set(sybil.device, inviter);
      inviter = i % 10 === 9 ? mallory.device : sybil.device;
      return sybil;
    });
    for (const [index, window] of windows.entries()) offer(window, now + index);
    assert.ok(node.store.get(keyOf(ann)));
    assert.ok([...node.store.entries()].length <= MAX_SECTIONS);
    const bob = testPeer();
    register.inviters.set(bob.device, ann.device);
    assert.equal(offer(bob, now - 2000), 'new');
    assert.ok(node.store.get(keyOf(ann)) && node.store.get(keyOf(bob)));
    // What was pushed out is offered again by whoever has it, and comes to rest: nothing is fetched again and again.
    const again = (): number => windows.filter((window, index) => offer(window, now + index) === 'new').length;
    for (let pass = 0; again() > 0; pass++) assert.ok(pass < 3);
    const size = [...node.store.entries()].length;
    assert.equal(size, MAX_SECTIONS);
  });

  it('has nobody else forgotten as a member', () => {
    const book = new MemberBook(() => {});
    const [creator, mallory, ann] = ['creator', 'mallory', 'ann'].map(device) as [DeviceId, DeviceId, DeviceId];
    book.note({ device: ann, inviter: creator, name: 'ann', lastSeen: 1 });
    book.note({ device: mallory, inviter: creator, name: 'mallory' });
    for (let i = 0; i < MAX_KNOWN + 20; i++) book.note({ device: device(`${i}`), inviter: mallory, lastSeen: 2 + i });
    assert.equal(book.get(ann)?.name, 'ann');
    assert.equal(book.list().length, MAX_KNOWN);
  });
});
