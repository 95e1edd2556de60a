import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from '../../src/common/event.ts';
import { infoHashFromBytes } from '../../src/common/ids.ts';
import { peerKey } from '../../src/peer/network/channel.ts';
import { NetworkTrust } from '../../src/peer/trust/membership.ts';
import { createIdentity } from '../../src/transport/identity.ts';
import { NetworkPeer, shareEntry, until } from './network-peer.ts';

describe('peers that cannot dial each other', function () {
  this.timeout(60_000);

  let peers: NetworkPeer[];

  beforeEach(() => {
    peers = [];
  });

  afterEach(async () => {
    await Promise.all(peers.map((peer) => peer.remove()));
  });

  async function add(name: string): Promise<NetworkPeer> {
    const [creator] = peers;
    const invite = creator?.trust.createInvite({ inviterName: creator.name });
    const peer = await NetworkPeer.create(
      name,
      (identity) =>
        invite === undefined
          ? NetworkTrust.createNetwork(identity, 'lab', [])
          : NetworkTrust.joinNetwork(identity, invite),
      createIdentity(),
    );
    peers.push(peer);
    return peer;
  }

  const via = (from: NetworkPeer, to: NetworkPeer) =>
    from.node.directory.peers().find(({ device }) => device === to.identity.device)?.via;

  const ref = ({ identity, instance }: NetworkPeer) => ({ device: identity.device, instance });

  /** Cleo listens and relays; Ada and Bob only dial out, and know only her. */
  async function three(): Promise<[NetworkPeer, NetworkPeer, NetworkPeer]> {
    const [cleo, ada, bob] = [await add('cleo'), await add('ada'), await add('bob')];
    await cleo.start();
    for (const peer of [ada, bob]) {
      await peer.start('outbound-only');
      peer.node.addAddress(cleo.address);
    }
    return [cleo, ada, bob];
  }

  it('meet by a relay, for the control connection and for swarms, and the relay sees only TLS', async () => {
    const cleo = await add('cleo');
    const seen: [Buffer[], Buffer[]][] = [];
    cleo.tap = (chunk, side) => {
      const [last] = seen;
      assert.ok(last);
      last[side].push(Buffer.from(chunk));
    };
    seen.push([[], []]);
    const [ada, bob] = [await add('ada'), await add('bob')];
    await cleo.start();
    for (const peer of [ada, bob]) {
      await peer.start('outbound-only');
      peer.node.addAddress(cleo.address);
    }
    ada.node.setOwn([shareEntry('very secret plans.txt')], []);
    await until(peers, () => ada.connectedTo(bob) && bob.connectedTo(ada) && bob.shareNames(ada).length === 1);
    assert.deepEqual([via(ada, bob), via(bob, ada), via(ada, cleo)], ['relay', 'relay', 'direct']);
    assert.equal(ada.node.directory.peers().find((peer) => peer.device === bob.identity.device)?.address, undefined);
    assert.equal(cleo.relay.sessions, 1);

    // One connection of the two went on record so far: it is TLS, from the first byte to the last.
    const control = seen[0]!;
    for (const side of [0, 1] as const) {
      const bytes = Buffer.concat(control[side]);
      let at = 0;
      while (at + 5 <= bytes.length) {
        assert.ok(bytes[at]! >= 0x14 && bytes[at]! <= 0x17);
        at += 5 + bytes.readUInt16BE(at + 3);
      }
    }

    const infohash = infoHashFromBytes(randomBytes(32));
    const arrived = once(bob.onSwarm);
    const channel = await ada.node.openSwarmChannel(ref(bob), infohash, new AbortController().signal);
    assert.ok(channel);
    assert.equal(channel.relay, cleo.identity.device);
    assert.equal(channel.device, bob.identity.device);
    ada.openSwarm(channel, infohash);
    const swarm = await arrived;
    assert.equal(swarm.infohash, infohash.slice(0, 40));
    assert.equal(swarm.channel.device, ada.identity.device);
    assert.equal(cleo.relay.sessions, 2);
    const all = Buffer.concat(seen.flatMap(([a, b]) => [...a, ...b]));
    for (const secret of [Buffer.from('very secret'), Buffer.from(infohash, 'hex').subarray(0, 20), ada.trust.secret])
      assert.ok(!all.includes(secret));
    assert.ok(!all.includes('BitTorrent protocol'));
  });

  it('go another way when the relay goes', async () => {
    const [cleo, ada, bob] = await three();
    await until(peers, () => ada.connectedTo(bob) && bob.connectedTo(ada));
    const dora = await add('dora');
    await dora.start();
    for (const peer of [ada, bob]) peer.node.addAddress(dora.address);
    await until(peers, () => ada.connectedTo(dora) && bob.connectedTo(dora));
    await cleo.stop();
    peers.splice(peers.indexOf(cleo), 1);
    await until([ada, bob], () => !ada.connectedTo(cleo) && !bob.connectedTo(cleo));
    await until([ada, bob, dora], () => ada.connectedTo(bob) && bob.connectedTo(ada) && dora.relay.sessions > 0);
    assert.equal(via(ada, bob), 'relay');
    await cleo.remove();
  });

  it('have one dial the other when that is possible', async () => {
    const [cleo, ada] = [await add('cleo'), await add('ada')];
    await cleo.start();
    // Ada listens, and Bob has never heard where; she cannot dial him, and both know Cleo.
    await ada.start();
    ada.node.addAddress(cleo.address);
    await until(peers, () => ada.connectedTo(cleo));
    const bob = await add('bob');
    await bob.start('outbound-only');
    bob.node.addAddress(cleo.address);
    await until(peers, () => ada.connectedTo(bob) && bob.connectedTo(ada));
    assert.deepEqual([via(ada, bob), via(bob, ada)], ['direct', 'direct']);
    assert.equal(cleo.relay.sessions, 0);
  });

  it('use the direct way as soon as there is one, and give up the relayed one', async () => {
    const [cleo, ada, bob] = await three();
    await until(peers, () => ada.connectedTo(bob) && bob.connectedTo(ada));
    assert.equal(via(ada, bob), 'relay');
    const dora = await add('dora');
    await dora.start();
    // As if Bob's network changed: he is found where Dora is not needed.
    await bob.stop();
    await bob.start();
    bob.node.addAddress(cleo.address);
    await until(peers, () => via(ada, bob) === 'direct' && via(bob, ada) === 'direct');
    await until(peers, () => cleo.relay.sessions === 0);
  });

  it('are not relayed by who does not consent, nor when they were removed', async () => {
    const [cleo, ada, bob] = await three();
    await until(peers, () => ada.connectedTo(bob) && bob.connectedTo(ada));
    const session = ada.channels.filter(({ relay }) => relay !== undefined);
    cleo.trust.revoke(bob.identity.device);
    await until([cleo, ada], () => !cleo.connectedTo(bob) && !ada.connectedTo(bob));
    assert.equal(cleo.relay.sessions, 0);
    assert.ok(session.every(({ closed }) => closed));
    assert.equal(cleo.relay.reserve(cleo.trust.network, ref(ada), ref(bob)) === undefined, false, 'the desk decides');
    await assert.rejects(
      ada.node.openSwarmChannel(ref(bob), infoHashFromBytes(randomBytes(32)), new AbortController().signal),
      ({ code }: { code: string }) => code === 'closed' || code === 'connection',
    );
  });

  it('hear of each other by device and window', async () => {
    const [, ada, bob] = await three();
    await until(peers, () => ada.connectedTo(bob) && bob.connectedTo(ada));
    const other = ada.node.directory.peers().find(({ via: way }) => way === 'relay');
    assert.ok(other);
    assert.equal(peerKey(other), peerKey(ref(bob)));
  });
});
