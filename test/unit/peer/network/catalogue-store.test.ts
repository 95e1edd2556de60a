import assert from 'node:assert/strict';
import { infoHashFromBytes, networkIdFromBytes } from '../../../../src/common/ids.ts';
import { type Section, signSection } from '../../../../src/peer/network/catalogue.ts';
import { keyOf, MAX_SECTIONS_PER_DEVICE, SECTION_LIFETIME } from '../../../../src/peer/network/catalogue-store.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import {
  advance,
  hold,
  memoryState,
  section,
  share,
  shareNames,
  type TestNode,
  type TestPeer,
  TestRegister,
  testNode,
  testPeer,
} from './support.ts';

function signedBy(peer: TestPeer, fields: Partial<Section> = {}, as: TestPeer = peer): Buffer {
  return signSection(section(peer, fields), as.identity, Buffer.from(peer.device)).bytes;
}

describe('CatalogueStore', () => {
  let clock: VirtualClock;
  let register: TestRegister;
  let node: TestNode;
  const ada = testPeer();
  const bob = testPeer();

  beforeEach(() => {
    clock = new VirtualClock();
    register = new TestRegister();
    node = testNode(clock, register);
  });

  it('keeps the newest version and refuses to roll back', () => {
    const { store } = node;
    const old = signedBy(ada, { sequence: 1, shares: [share({ name: 'old' })] });
    const newer = signedBy(ada, { sequence: 2, shares: [share({ name: 'new' })] });
    assert.equal(store.offer(old).kind, 'new');
    assert.equal(store.offer(newer).kind, 'new');
    assert.equal(store.offer(old).kind, 'known');
    assert.equal(store.offer(newer).kind, 'known');
    assert.deepEqual(shareNames(store.catalogues()[0]?.shares ?? []), ['new']);
    const reborn = signedBy(ada, { incarnation: 2, sequence: 0, shares: [share({ name: 'reborn' })] });
    assert.equal(store.offer(reborn).kind, 'new');
    assert.equal(store.offer(newer).kind, 'known');
  });

  it('keeps the first of two sections that were signed under one version', () => {
    const { store } = node;
    store.offer(signedBy(ada, { shares: [share({ name: 'first' })] }));
    assert.equal(store.offer(signedBy(ada, { shares: [share({ name: 'second' })] })).kind, 'conflict');
    assert.deepEqual(shareNames(store.catalogues()[0]?.shares ?? []), ['first']);
  });

  it('knows a section again under another signature, since ECDSA has many for one message', () => {
    const fields = { shares: [share()] };
    const first = signedBy(ada, fields);
    const again = signedBy(ada, fields);
    assert.ok(!first.equals(again));
    assert.equal(node.store.offer(first).kind, 'new');
    assert.equal(node.store.offer(again).kind, 'known');
  });

  it('refuses what someone else signed', () => {
    // Mallory’s signature over Ada’s key, and Mallory’s key with Ada’s credentials.
    const forged = node.store.offer(signedBy(ada, { shares: [share()] }, bob));
    assert.equal(forged.kind, 'refused', 'the spki is the signer’s, so the credentials are foreign');
    const stolen = signSection(section(ada), { ...bob.identity, spki: ada.identity.spki }, Buffer.from(ada.device));
    assert.equal(node.store.offer(stolen.bytes).kind, 'refused');
    assert.deepEqual(node.store.catalogues(), []);
  });

  it('refuses strangers, the revoked, other networks and what is too old', () => {
    const { store } = node;
    const stranger = signSection(section(ada), ada.identity, Buffer.from('not a member'));
    assert.equal(store.offer(stranger.bytes).kind, 'refused');
    assert.equal(store.offer(signedBy(ada, { network: networkIdFromBytes(Buffer.alloc(32)) })).kind, 'refused');
    assert.equal(store.offer(signedBy(ada, { time: clock.wallTime() - SECTION_LIFETIME - 1 })).kind, 'refused');
    register.revoked.add(ada.device);
    assert.equal(store.offer(signedBy(ada)).kind, 'refused');
    assert.deepEqual([...store.entries()], []);
  });

  it('refuses what is not addressed to this device', () => {
    assert.equal(node.store.offer(signedBy(ada, { to: [bob.device] })).kind, 'refused');
    assert.equal(node.store.offer(signedBy(ada, { to: [node.peer.device] })).kind, 'new');
  });

  it('refuses every one-bit change of a section', () => {
    const bytes = signedBy(ada, { shares: [share({ message: 'hi' })], to: [node.peer.device] });
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const mutant = Buffer.from(bytes);
      mutant[bit >> 3] = (mutant[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const { kind } = node.store.offer(mutant);
      assert.equal(kind, 'refused', `bit ${bit & 7} of byte ${bit >> 3}`);
    }
    assert.deepEqual([...node.store.entries()], []);
    assert.equal(node.store.offer(bytes).kind, 'new');
  });

  it('reports its own sections of another life instead of taking them', () => {
    const outcome = node.store.offer(signedBy(node.peer, { incarnation: 99, shares: [share()] }));
    assert.equal(outcome.kind, 'own');
    assert.deepEqual([...node.store.entries()], []);
  });

  it('merges the sections of a peer, the newest listing of a share winning', () => {
    const { store } = node;
    const moving = share({ name: 'moving' });
    const to = [node.peer.device];
    store.offer(signedBy(ada, { sequence: 1, shares: [moving, share({ name: 'public' })] }));
    store.offer(signedBy(ada, { sequence: 2, to, shares: [{ ...moving, to, version: 2 }] }));
    const [catalogue] = store.catalogues();
    assert.deepEqual(shareNames(catalogue?.shares ?? []), ['moving', 'public']);
    assert.deepEqual(store.shareOf(ada.device, moving.share), { ...moving, to, version: 2 });
    assert.equal(store.shareOf(bob.device, moving.share), undefined);
  });

  it('knows who holds a version', () => {
    const { store } = node;
    const version = share();
    store.offer(signedBy(ada, { shares: [version] }));
    store.offer(signedBy(bob, { holds: [hold(version, ada.device, false)] }));
    const holders = store.holdersOf(version.infohash).map(({ peer, complete }) => [peer.device, complete]);
    assert.deepEqual(
      new Map(holders as [string, boolean][]),
      new Map([
        [ada.device, true],
        [bob.device, false],
      ]),
    );
    assert.deepEqual(store.holdersOf(infoHashFromBytes(Buffer.alloc(32))), []);
  });

  it('forgets a device, and what nobody signed for long', async () => {
    const { store } = node;
    store.offer(signedBy(ada, { shares: [share()] }));
    store.offer(signedBy(bob, { time: clock.wallTime() + SECTION_LIFETIME / 2 }));
    assert.equal(store.dropDevice(ada.device), true);
    assert.equal(store.dropDevice(ada.device), false);
    assert.deepEqual(
      store.catalogues().map(({ device }) => device),
      [bob.device],
    );
    await advance(clock, 2 * SECTION_LIFETIME);
    store.expire();
    assert.deepEqual(store.catalogues(), []);
  });

  it('gives one device limited room, the newest first', () => {
    const peers = Array.from({ length: MAX_SECTIONS_PER_DEVICE + 5 }, () => testPeer(ada.identity));
    const time = clock.wallTime();
    for (const [i, peer] of peers.entries()) node.store.offer(signedBy(peer, { time: time + i }));
    assert.equal([...node.store.entries()].length, MAX_SECTIONS_PER_DEVICE);
    const first = peers[0];
    assert.ok(first && node.store.get(keyOf(first)) === undefined);
    assert.equal(node.store.offer(signedBy(testPeer(ada.identity), { time: time - 1 })).kind, 'refused');
    assert.equal(node.store.offer(signedBy(bob)).kind, 'new');
  });

  it('survives a restart, verifying again what it reads', async () => {
    const state = memoryState();
    const peer = testPeer();
    const before = testNode(clock, register, peer, state);
    before.store.offer(signedBy(ada, { shares: [share({ name: 'kept' })] }));
    before.store.offer(signedBy(bob, { shares: [share({ name: 'revoked meanwhile' })] }));
    await advance(clock, 10_000);
    assert.deepEqual([...state.files.keys()], ['catalogues']);
    before.store.dispose();
    register.revoked.add(bob.device);
    const after = testNode(clock, register, peer, state);
    await after.store.load();
    assert.deepEqual(
      after.store.catalogues().flatMap(({ shares }) => shareNames(shares)),
      ['kept'],
    );
  });

  it('starts empty when its file is damaged', async () => {
    const state = memoryState();
    state.files.set('catalogues', Buffer.from('l3:'));
    const damaged = testNode(clock, register, testPeer(), state);
    await damaged.store.load();
    assert.deepEqual([...damaged.store.entries()], []);
    assert.equal(damaged.warnings.length, 1);
  });
});
