import assert from 'node:assert/strict';
import { once } from '../../src/common/event.ts';
import { NetworkTrust } from '../../src/peer/trust/membership.ts';
import { createIdentity } from '../../src/transport/identity.ts';
import { Tracker } from '../../tracker/tracker.ts';
import { NetworkPeer, shareEntry, until } from './network-peer.ts';

describe('NetworkNode', function () {
  this.timeout(120_000);

  let tracker: Tracker;
  let peers: NetworkPeer[];

  beforeEach(async () => {
    tracker = await Tracker.start({ host: '127.0.0.1', port: 0, udpPort: 'none' });
    peers = [];
  });

  afterEach(async () => {
    await Promise.all(peers.map((peer) => peer.remove()));
    await tracker.close();
  });

  async function add(
    name: string,
    trust: (identity: ReturnType<typeof createIdentity>) => NetworkTrust,
    identity = createIdentity(),
  ) {
    const peer = await NetworkPeer.create(name, trust, identity);
    peers.push(peer);
    return peer;
  }

  /** The creator of a network and some members, none of them running. */
  async function network(names: readonly string[], trackers = [tracker.httpUrl]): Promise<NetworkPeer[]> {
    const [first = 'creator', ...others] = names;
    const creator = await add(first, (identity) => NetworkTrust.createNetwork(identity, 'lab', trackers));
    for (const name of others) await join(creator, name);
    return [...peers];
  }

  function join(creator: NetworkPeer, name: string): Promise<NetworkPeer> {
    const invite = creator.trust.createInvite({ inviterName: creator.name });
    return add(name, (identity) => NetworkTrust.joinNetwork(identity, invite));
  }

  const allConnected = (group: readonly NetworkPeer[]): boolean =>
    group.every((one) => group.every((other) => one === other || one.connectedTo(other)));

  it('finds members by the tracker, and brings them what is shared', async () => {
    const [ada, bob, eve] = (await network(['ada', 'bob', 'eve'])) as [NetworkPeer, NetworkPeer, NetworkPeer];
    await Promise.all(peers.map((peer) => peer.start()));
    await until(peers, () => allConnected(peers));
    assert.deepEqual(ada.node.state(), { state: 'connected', peers: 2 });
    const names = bob.node.directory.peers().map(({ name }) => name);
    assert.deepEqual(names.sort(), ['ada', 'eve']);

    const share = shareEntry('plan.txt');
    ada.node.setOwn([share], []);
    await until(peers, () => [bob, eve].every((peer) => peer.shareNames(ada).includes('plan.txt')));
    bob.node.setOwn(
      [],
      [{ infohash: share.infohash, share: share.share, owner: ada.identity.device, complete: false }],
    );
    await until(peers, () => eve.node.directory.holdersOf(share.infohash).length === 2);
    assert.deepEqual(
      new Map(eve.node.directory.holdersOf(share.infohash).map(({ device, complete }) => [device, complete])),
      new Map([
        [ada.identity.device, true],
        [bob.identity.device, false],
      ]),
    );
    assert.equal(eve.node.directory.audienceOf(ada.identity.device, share.share), 'everyone');
  });

  it('needs no tracker after the first contact: a restarted member is found by memory, others by exchange', async () => {
    const [ada, bob, eve] = (await network(['ada', 'bob', 'eve'])) as [NetworkPeer, NetworkPeer, NetworkPeer];
    await ada.start();
    await bob.start();
    await until([ada, bob], () => allConnected([ada, bob]));
    await bob.stop();
    await tracker.close();

    await bob.start();
    await until([ada, bob], () => allConnected([ada, bob]));

    // Eve knows one address, typed in by hand, and learns the other from whom she finds there.
    await eve.start();
    eve.node.addAddress(ada.address);
    await until(peers, () => allConnected(peers));
    await until([eve], () => eve.node.state().problem !== undefined);

    // All at once, each at a new port: whoever remembers anyone dials; nobody listens where he was.
    await ada.stop();
    await until([bob], () => !bob.connectedTo(ada));
    await ada.start();
    await until(peers, () => allConnected(peers));
  });

  it('lists what a member shared after it is gone, to those who never met it', async () => {
    const [ada, bob] = (await network(['ada', 'bob'])) as [NetworkPeer, NetworkPeer];
    await ada.start();
    await bob.start();
    ada.node.setOwn([shareEntry('legacy.bin')], []);
    await until(peers, () => bob.shareNames(ada).length === 1);
    await ada.stop();
    await until([bob], () => !bob.connectedTo(ada));
    // Also over a restart of the witness.
    await bob.stop();
    await bob.start();
    const eve = await join(ada, 'eve');
    await eve.start();
    await until([bob, eve], () => eve.shareNames(ada).length === 1);
    const [catalogue] = eve.node.directory.catalogues().filter(({ device }) => device === ada.identity.device);
    assert.equal(catalogue?.online, false);
    assert.equal(catalogue?.name, 'ada');
  });

  it('disconnects a revoked device everywhere, and forgets what it shared', async () => {
    const [ada, bob, eve] = (await network(['ada', 'bob', 'eve'])) as [NetworkPeer, NetworkPeer, NetworkPeer];
    await Promise.all(peers.map((peer) => peer.start()));
    eve.node.setOwn([shareEntry('bait.txt')], []);
    await until(peers, () => allConnected(peers) && bob.shareNames(eve).length === 1);
    const heard = once(bob.node.onRevoked);
    ada.trust.revoke(eve.identity.device);
    assert.deepEqual(await heard, [eve.identity.device]);
    await until(peers, () => ![ada, bob].some((peer) => peer.connectedTo(eve) || peer.shareNames(eve).length > 0));
    assert.ok(ada.connectedTo(bob));
    await until([eve], () => eve.node.directory.peers().length === 0);
    // It knocks in vain.
    for (const peer of [ada, bob]) await assert.rejects(eve.knock(peer), { code: 'revoked' });
  });

  it('tells a member that comes back whom others revoked meanwhile', async () => {
    const [ada, bob, eve] = (await network(['ada', 'bob', 'eve'])) as [NetworkPeer, NetworkPeer, NetworkPeer];
    await Promise.all(peers.map((peer) => peer.start()));
    eve.node.setOwn([shareEntry('bait.txt')], []);
    await until(peers, () => allConnected(peers) && bob.shareNames(eve).length === 1);
    await bob.stop();
    ada.trust.revoke(eve.identity.device);
    await bob.start();
    await until([ada, bob], () => bob.trust.isRevoked(eve.identity.device) && bob.shareNames(eve).length === 0);
    await until([ada, bob], () => !bob.connectedTo(eve) && bob.connectedTo(ada));
  });

  it('shows a limited share to its audience only, whoever passes it on', async () => {
    const [ada, bob, eve] = (await network(['ada', 'bob', 'eve'])) as [NetworkPeer, NetworkPeer, NetworkPeer];
    await Promise.all(peers.map((peer) => peer.start()));
    await until(peers, () => allConnected(peers));
    const secret = shareEntry('secret.txt', { to: [bob.identity.device] });
    ada.node.setOwn([secret, shareEntry('open.txt')], []);
    await until(peers, () => bob.shareNames(ada).length === 2 && eve.shareNames(ada).length === 1);
    assert.deepEqual(eve.shareNames(ada), ['open.txt']);
    assert.deepEqual(
      bob.node.directory.audienceOf(ada.identity.device, secret.share),
      new Set([ada.identity.device, bob.identity.device]),
    );
    assert.equal(eve.node.directory.audienceOf(ada.identity.device, secret.share), undefined);
  });

  it('takes its shares along when it leaves', async () => {
    const [ada, bob] = (await network(['ada', 'bob'])) as [NetworkPeer, NetworkPeer];
    await Promise.all(peers.map((peer) => peer.start()));
    await until(peers, () => allConnected(peers));
    ada.node.setOwn(
      Array.from({ length: 2000 }, (_, i) => shareEntry(`file-${i}`)),
      [],
    );
    await until(peers, () => bob.shareNames(ada).length === 2000);
    await ada.node.leave();
    await until([bob], () => !bob.connectedTo(ada));
    assert.deepEqual(bob.shareNames(ada), []);
  });

  it('says when this device was removed', async () => {
    const [ada, bob] = (await network(['ada', 'bob'])) as [NetworkPeer, NetworkPeer];
    await Promise.all(peers.map((peer) => peer.start()));
    await until(peers, () => allConnected(peers));
    await bob.stop();
    ada.trust.revoke(bob.identity.device);
    await bob.start();
    await until([bob], () => /removed|refuse/.test(bob.node.state().problem ?? ''));
    assert.equal(bob.node.refusal?.code, 'revoked');
    assert.equal(bob.node.state().peers, 0);
  });

  it('opens channels for swarms, from either side when one cannot be dialled', async () => {
    const [ada, bob] = (await network(['ada', 'bob'])) as [NetworkPeer, NetworkPeer];
    await ada.start();
    await bob.start('outbound-only');
    await until(peers, () => allConnected(peers));
    const bobRef = { device: bob.identity.device, instance: bob.instance };
    const adaRef = { device: ada.identity.device, instance: ada.instance };
    assert.equal(ada.node.directory.peers()[0]?.address, undefined);
    assert.equal(bob.node.directory.peers()[0]?.address, ada.address);
    const { infohash } = shareEntry('x');

    // Bob can dial Ada.
    const arrived = once(ada.onSwarm);
    const channel = await bob.node.openSwarmChannel(adaRef, infohash, new AbortController().signal);
    assert.ok(channel);
    bob.openSwarm(channel, infohash);
    assert.equal((await arrived).infohash, infohash.slice(0, 40));
    assert.equal((await arrived).channel.instance, bob.instance);

    // Ada cannot dial Bob: he is asked to dial her.
    const request = once(bob.node.onConnectRequest);
    assert.equal(await ada.node.openSwarmChannel(bobRef, infohash, new AbortController().signal), undefined);
    assert.deepEqual(await request, { ...adaRef, infohash, address: ada.address });

    await assert.rejects(
      ada.node.openSwarmChannel({ ...bobRef, instance: ada.instance }, infohash, new AbortController().signal),
      { code: 'closed' },
    );
    await assert.rejects(bob.node.openSwarmChannel(adaRef, infohash, AbortSignal.abort()), { code: 'cancelled' });
  });

  it('says so when neither side accepts connections', async () => {
    const [ada, bob, eve] = (await network(['ada', 'bob', 'eve'])) as [NetworkPeer, NetworkPeer, NetworkPeer];
    await ada.start();
    await bob.start('outbound-only');
    await eve.start('outbound-only');
    await until(peers, () => ada.connectedTo(bob) && ada.connectedTo(eve));
    // Catalogues cross by the one that both can reach.
    bob.node.setOwn([shareEntry('far.txt')], []);
    await until(peers, () => eve.shareNames(bob).length === 1);
    assert.equal(eve.connectedTo(bob), false);
    assert.deepEqual(eve.node.directory.holdersOf(shareEntry('x').infohash), []);
  });

  it('keeps the windows of one device apart', async () => {
    const identity = createIdentity();
    const trust = NetworkTrust.createNetwork(identity, 'lab', [tracker.httpUrl]);
    const one = await add('ada', () => trust, identity);
    const two = await add('ada', () => NetworkTrust.load(identity, trust.serialize()), identity);
    await one.start();
    await two.start();
    await until(peers, () => allConnected(peers));
    assert.deepEqual(one.node.state(), { state: 'looking', peers: 0 });
    one.node.setOwn([shareEntry('in-window-one', { to: [] })], []);
    await until(peers, () => two.shareNames(one).length === 1);
  });

  it('settles on one connection when two dial each other at once', async () => {
    const [ada, bob] = (await network(['ada', 'bob'], [])) as [NetworkPeer, NetworkPeer];
    await ada.start();
    await bob.start();
    for (let round = 0; round < 5; round++) {
      ada.node.addAddress(bob.address);
      bob.node.addAddress(ada.address);
      await until(peers, () => allConnected(peers));
    }
    const open = (peer: NetworkPeer): number => peer.channels.filter(({ closed }) => !closed).length;
    // A change crosses the connection that stays, and both ends then have that one only.
    ada.node.setOwn([shareEntry('after')], []);
    await until(peers, () => bob.shareNames(ada).length === 1);
    await eventually(() => open(ada) === 1 && open(bob) === 1);
    assert.ok(allConnected(peers));
  });

  it('ends without a trace', async () => {
    const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name.startsWith('TCP')).length;
    const before = sockets();
    const [ada, bob] = (await network(['ada', 'bob'])) as [NetworkPeer, NetworkPeer];
    await ada.start();
    await bob.start();
    await until(peers, () => allConnected(peers));
    await Promise.all([ada.stop(), bob.stop()]);
    await eventually(() => sockets() <= before);
    // The tracker forgot them: a third finds nobody there.
    const eve = await join(ada, 'eve');
    await eve.start();
    await eventually(() => eve.node.trackerStatus()[0]?.ok === true);
    assert.equal(eve.channels.length, 0);
  });
});

/** For what announces itself by no event: looks again in every turn of the event loop, until mocha's deadline. */
async function eventually(test: () => boolean): Promise<void> {
  while (!test()) await new Promise((resolve) => setTimeout(resolve, 5));
}
