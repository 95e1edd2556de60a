import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from '../../src/common/event.ts';
import { infoHashFromBytes } from '../../src/common/ids.ts';
import { peerKey } from '../../src/peer/network/channel.ts';
import { NetworkTrust } from '../../src/peer/trust/membership.ts';
import { createIdentity } from '../../src/transport/identity.ts';
import { NetworkPeer, shareEntry, until } from './network-peer.ts';
import { checkTlsRecords } from './tls-records.ts';

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
  async function three(tap?: NetworkPeer['tap']): Promise<[NetworkPeer, NetworkPeer, NetworkPeer]> {
    const [cleo, ada, bob] = [await add('cleo'), await add('ada'), await add('bob')];
    if (tap) cleo.tap = tap;
    await cleo.start();
    for (const peer of [ada, bob]) {
      await peer.start('outbound-only');
      peer.node.addAddress(cleo.address);
    }
    return [cleo, ada, bob];
  }

  it('meet by a relay, for the control connection and for swarms, and the relay sees only TLS', async () => {
    const relayed = new Map<string, Buffer[]>();
    const [cleo, ada, bob] = await three((chunk, side, session) => {
      const chunks = relayed.get(`${session} from ${side}`) ?? [];
      relayed.set(`${session} from ${side}`, [...chunks, Buffer.from(chunk)]);
    });
    ada.node.setOwn([shareEntry('very secret plans.txt')], []);
    await until(peers, () => ada.connectedTo(bob) && bob.connectedTo(ada) && bob.shareNames(ada).length === 1);
    assert.deepEqual([via(ada, bob), via(bob, ada), via(ada, cleo)], ['relay', 'relay', 'direct']);
    assert.equal(ada.node.directory.peers().find((peer) => peer.device === bob.identity.device)?.address, undefined);
    assert.equal(cleo.relay.sessions, 1);

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

    const content = Buffer.alloc(1_000_000, 'the words of the plan, again and again. ');
    channel.write([content]);
    let received = 0;
    await new Promise<void>((resolve, reject) => {
      swarm.channel.start({
        onData(chunk) {
          received += chunk.length;
          if (received >= content.length) resolve();
        },
        onDrain() {},
        onClose: reject,
      });
      swarm.channel.resume();
    });
    assert.equal(relayed.size, 4);
    for (const [name, chunks] of relayed) {
      const bytes = Buffer.concat(chunks);
      assert.ok(checkTlsRecords(bytes, name) > 5);
      const secrets = [Buffer.from(infohash, 'hex').subarray(0, 20), ada.trust.secret, content.subarray(0, 20)];
      for (const secret of [...secrets, 'very secret', 'BitTorrent', 'pw_catalogue'])
        assert.ok(!bytes.includes(secret), name);
    }
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
    const [cleo, bob, ada] = [await add('cleo'), await add('bob'), await add('ada')];
    await cleo.start();
    await bob.start('outbound-only');
    bob.node.addAddress(cleo.address);
    await until(peers.slice(0, 2), () => cleo.connectedTo(bob));
    // Ada listens. Bob heard of nobody when he came, and will hear her address by peer exchange only at Cleo's next tick;
    // she cannot dial him.
    await ada.start();
    ada.node.addAddress(cleo.address);
    await until(peers, () => ada.connectedTo(bob) && bob.connectedTo(ada));
    assert.deepEqual([via(ada, bob), via(bob, ada)], ['direct', 'direct']);
    assert.ok(bob.channels.some(({ device, initiator }) => initiator && device === ada.identity.device));
    assert.equal(cleo.relay.sessions, 0);
  });

  it('use the direct way as soon as there is one, and give up the relayed one', async () => {
    const [cleo, ada, bob] = await three();
    await until(peers, () => ada.connectedTo(bob) && bob.connectedTo(ada));
    assert.equal(via(ada, bob), 'relay');
    // As if Bob came to another network, in which he can be dialled.
    await bob.listen();
    bob.node.retryNow();
    await until(peers, () => via(ada, bob) === 'direct' && via(bob, ada) === 'direct');
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (cleo.relay.sessions === 0) resolve();
        else setTimeout(look, 10);
      };
      look();
    });
    // Those at whose other end the relay closed it hear of that a little later.
    await new Promise<void>((resolve) => {
      const look = (): void => {
        const open = [...ada.channels, ...bob.channels].filter(({ closed }) => !closed);
        if (open.every(({ relay }) => relay === undefined)) resolve();
        else setTimeout(look, 10);
      };
      look();
    });
    const channel = await ada.node.openSwarmChannel(
      ref(bob),
      infoHashFromBytes(randomBytes(32)),
      new AbortController().signal,
    );
    assert.ok(channel && channel.relay === undefined);
    channel.close();
  });

  it('are relayed no more once one was removed', async () => {
    const [cleo, ada, bob] = await three();
    await until(peers, () => ada.connectedTo(bob) && bob.connectedTo(ada));
    const channel = await ada.node.openSwarmChannel(
      ref(bob),
      infoHashFromBytes(randomBytes(32)),
      new AbortController().signal,
    );
    assert.ok(channel);
    cleo.trust.revoke(bob.identity.device);
    assert.equal(cleo.relay.sessions, 0, 'the relay ends it by itself, at once');
    await until([cleo, ada], () => !cleo.connectedTo(bob) && !ada.connectedTo(bob));
    const seen = cleo.relay.sessions;
    await assert.rejects(
      ada.node.openSwarmChannel(ref(bob), infoHashFromBytes(randomBytes(32)), new AbortController().signal),
      { code: 'closed' },
    );
    assert.equal(cleo.relay.sessions, seen);
  });

  it('use no relay that was removed, though it would not hear of that', async () => {
    const dora = await add('dora');
    const [cleo, ada, bob] = await three();
    await until([ada, bob], () => ada.connectedTo(bob) && bob.connectedTo(ada));
    await dora.start();
    for (const peer of [ada, bob, cleo]) peer.node.addAddress(dora.address);
    await until(peers, () => [ada, bob, cleo].every((peer) => peer.connectedTo(dora)));
    const byCleo = [...ada.channels, ...bob.channels].filter(({ relay }) => relay === cleo.identity.device);
    assert.ok(byCleo.some(({ closed }) => !closed));
    cleo.trust.applyRevocations = () => [];
    dora.trust.revoke(cleo.identity.device);
    await until([ada, bob, dora], () => !ada.connectedTo(cleo) && !bob.connectedTo(cleo));
    assert.ok(byCleo.every(({ closed }) => closed));
    // The one who removed it relays, too.
    await until([ada, bob, dora], () => ada.connectedTo(bob) && bob.connectedTo(ada) && dora.relay.sessions > 0);
  });

  it('hear of each other by device and window', async () => {
    const [, ada, bob] = await three();
    await until(peers, () => ada.connectedTo(bob) && bob.connectedTo(ada));
    const other = ada.node.directory.peers().find(({ via: way }) => way === 'relay');
    assert.ok(other);
    assert.equal(peerKey(other), peerKey(ref(bob)));
  });
});
