/** Members that use what `pw_relay` lets them say to have others dial, ask and look. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PeerwireError } from '../../../../src/common/errors.ts';
import { silentLogger } from '../../../../src/common/log.ts';
import { UNPROVEN_PER_HOST, UNPROVEN_TRIES_PER_HOUR } from '../../../../src/peer/network/address-book.ts';
import { peerKey } from '../../../../src/peer/network/channel.ts';
import type { ControlPeer } from '../../../../src/peer/network/control-peer.ts';
import type { DialTarget } from '../../../../src/peer/network/dialer.ts';
import { Reach } from '../../../../src/peer/network/relay/reach.ts';
import { RelayClient } from '../../../../src/peer/network/relay/relay-client.ts';
import { MAX_PEERS, type RelayMessage } from '../../../../src/peer/network/relay/relay-messages.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { controlPair } from './control-pair.ts';
import { advance, NETWORK, testPeer } from './support.ts';

const HOUR = 60 * 60 * 1000;

describe('a hostile relay', () => {
  let clock: VirtualClock;
  let dialed: string[];
  let asked: RelayMessage[];
  let client: RelayClient;
  let reach: Reach;
  let link: ControlPeer;
  let dispose: () => void;
  const known = new Set<string>();
  const ada = testPeer();
  const mallory = testPeer();

  beforeEach(async () => {
    clock = new VirtualClock();
    dialed = [];
    asked = [];
    known.clear();
    const dial = ({ host, port }: DialTarget): Promise<never> => {
      dialed.push(`${host}:${port}`);
      return Promise.reject(new PeerwireError('connection', 'Nobody is there.'));
    };
    client = new RelayClient({
      ...{ network: NETWORK, clock, logger: silentLogger, dial },
      isRevoked: () => false,
      secure: () => assert.fail('never reached'),
      accept: () => assert.fail('never reached'),
      onChange: () => reach.poke(),
    });
    reach = new Reach({
      ...{ self: ada, client, clock, logger: silentLogger, dial },
      listenPort: () => 7001,
      isConnected: () => false,
      isDirect: () => false,
      isRevoked: () => false,
      isKnown: (peer) => known.has(peerKey(peer)),
      relayed: () => 0,
      hasRoom: () => true,
      onChannel: () => assert.fail('never reached'),
    });
    const { one, two } = await controlPair(
      clock,
      { peer: ada, name: 'ada', host: '10.0.0.1', listenPort: 7001 },
      {
        ...{ peer: mallory, name: 'mallory', host: '10.6.6.6', listenPort: 7002 },
        handler: { onRelay: (_, message) => void asked.push(message) },
      },
    );
    link = one;
    client.join(one);
    dispose = () => {
      reach.dispose();
      client.dispose();
      one.close();
      two.close();
    };
  });
  afterEach(() => dispose());

  it('has nobody dial a target more often than peer exchange could, nor scan its ports', async () => {
    const victim = { host: '203.0.113.9', port: 443 };
    const start = clock.now();
    for (let hour = 1; hour <= 3; hour++) {
      while (clock.now() - start < hour * HOUR) {
        await reach.onCalled(testPeer(mallory.identity), victim, '10.6.6.6');
        await advance(clock, 20_000);
      }
      assert.ok(dialed.length <= hour * UNPROVEN_TRIES_PER_HOUR.pex + 1, `${dialed.length} dials in ${hour} hours`);
    }
    assert.ok(dialed.length >= UNPROVEN_TRIES_PER_HOUR.pex);
    dialed.length = 0;
    for (let port = 1; port < 500; port++) {
      await reach.onCalled(testPeer(mallory.identity), { host: '::ffff:198.51.100.7', port }, '10.6.6.6');
      await advance(clock, 1000);
    }
    assert.ok(dialed.length <= UNPROVEN_PER_HOST, `${dialed.length} ports of one host`);
  });

  it('has nobody dial this machine, its network’s metadata service, or by a name', async () => {
    for (const host of [
      '127.0.0.1',
      '::1',
      '169.254.169.254',
      'fd00:ec2::254',
      '0.0.0.0',
      '224.0.0.1',
      'localhost',
      'router.lan',
    ])
      await reach.onCalled(testPeer(), { host, port: 80 }, '10.6.6.6');
    assert.deepEqual(dialed, []);
  });

  it('has us come to it a few times a second', async () => {
    for (let i = 0; i < 2000; i++) {
      client.receive(link, { type: 'join', peer: testPeer(mallory.identity), token: randomBytes(16) });
      await advance(clock, 5);
    }
    assert.ok(dialed.length > 0 && dialed.length < 230, `${dialed.length} dials in 10 s, of two addresses each`);
  });

  it('that tells of peers which do not exist has us ask for none of them, and keeps us from none that does', async () => {
    const friend = testPeer();
    known.add(peerKey(friend));
    const invented = () => ({
      ...{ device: testPeer(mallory.identity).device, instance: testPeer(mallory.identity).instance },
      listens: true,
    });
    for (let i = 0; i < 20; i++) {
      const added = Array.from({ length: 20 }, invented);
      client.receive(link, { type: 'here', added, gone: [], relays: true });
    }
    const before = { device: friend.device, instance: friend.instance, listens: false };
    client.receive(link, { type: 'here', added: [before], gone: [], relays: true });
    assert.ok(client.known().size <= MAX_PEERS);
    await advance(clock, 20_000);
    const wanted = asked.flatMap((message) =>
      message.type === 'want' || message.type === 'call' ? [peerKey(message.peer)] : [],
    );
    assert.ok(wanted.length > 0);
    assert.deepEqual(new Set(wanted), known);
  });

  it('that tells of others all the time has us look a few times a second', async () => {
    let looks = 0;
    const all = client.known.bind(client);
    client.known = () => {
      looks++;
      return all();
    };
    for (let i = 0; i < 1000; i++) {
      client.receive(link, { type: 'here', added: [], gone: [], relays: i % 2 === 0 });
      await advance(clock, 1);
    }
    assert.ok(looks > 0 && looks < 50, `${looks} in a second`);
  });

  it('that has many connections tells of no more peers than by one', async () => {
    for (let i = 0; i < 4; i++) {
      const { one } = await controlPair(
        clock,
        { peer: ada, name: 'ada', host: '10.0.0.1', listenPort: 7001 },
        { peer: testPeer(mallory.identity), name: 'mallory', host: '10.6.6.6', listenPort: 7002 },
      );
      client.join(one);
      const added = Array.from({ length: MAX_PEERS }, () => ({ ...testPeer(mallory.identity), listens: true }));
      client.receive(one, { type: 'here', added, gone: [], relays: true });
    }
    assert.equal(client.known().size, MAX_PEERS);
  });
});

describe('connections by relays', () => {
  let clock: VirtualClock;
  let client: RelayClient;
  /** Ports that were dialled, and those that are being: nobody ever answers. */
  let dialed: number[];
  let dialing: number[];
  let links: ControlPeer[];
  const ada = testPeer();

  beforeEach(() => {
    clock = new VirtualClock();
    dialed = [];
    dialing = [];
    links = [];
    client = new RelayClient({
      ...{ network: NETWORK, clock, logger: silentLogger },
      isRevoked: () => false,
      dial: ({ port, signal }) => {
        dialed.push(port);
        dialing.push(port);
        return new Promise((_, reject) =>
          signal.addEventListener('abort', () => {
            dialing.splice(dialing.indexOf(port), 1);
            reject(new PeerwireError('timeout', 'too late'));
          }),
        );
      },
      secure: () => assert.fail('never reached'),
      accept: () => assert.fail('never reached'),
      onChange: () => {},
    });
  });
  afterEach(() => {
    client.dispose();
    for (const link of links) link.close();
  });

  /** A member that can be dialled at this port, and answers a ping after so long (ms). */
  async function member(port: number, delay = 0, peer = testPeer()): Promise<ControlPeer> {
    const onRelay = (link: ControlPeer, message: RelayMessage): void => {
      if (message.type === 'ping')
        clock.setTimeout(() => link.sendRelay({ type: 'pong', id: message.id, load: 0 }), delay);
      if (message.type === 'want') link.sendRelay({ type: 'open', id: message.id, token: randomBytes(16) });
    };
    const { one } = await controlPair(
      clock,
      {
        ...{ peer: ada, name: 'ada', host: '10.0.0.1', listenPort: 7001 },
        handler: { onRelay: (link, message) => client.receive(link, message) },
      },
      { peer, name: 'x', host: '10.0.0.9', listenPort: port, handler: { onRelay } },
      `10.0.0.9:${port}`,
    );
    links.push(one);
    client.join(one);
    return one;
  }

  const join = (link: ControlPeer, peer = testPeer()): void =>
    client.receive(link, { type: 'join', peer, token: randomBytes(16) });

  it('that a relay asks for and nobody uses keep nobody from those by another', async () => {
    const [mallory, cleo] = [await member(6666), await member(7777)];
    for (let i = 0; i < 40; i++) join(mallory);
    await advance(clock, 1);
    assert.equal(dialing.length, 16);
    for (let i = 0; i < 8; i++) join(cleo);
    await advance(clock, 1);
    assert.equal(dialing.length, 16, 'no more at once');
    assert.equal(dialing.filter((port) => port === 7777).length, 8);
    for (let i = 0; i < 10; i++) join(mallory);
    await advance(clock, 1);
    assert.equal(dialing.filter((port) => port === 7777).length, 8);
  });

  it('that one member asks an honest relay for keep nobody from those of another', async () => {
    const cleo = await member(7777);
    const mallory = testPeer();
    for (let i = 0; i < 20; i++) join(cleo, mallory);
    await advance(clock, 1);
    assert.deepEqual([dialing.length, dialed.length], [16, 16]);
    join(cleo);
    await advance(clock, 1);
    assert.deepEqual([dialing.length, dialed.length], [16, 17]);
    join(cleo, mallory);
    await advance(clock, 1);
    assert.equal(dialed.length, 17);
  });

  it('are asked last of one that is near and leads nowhere, however many connections it has', async () => {
    const [mallory, bob] = [testPeer(), testPeer()];
    const tries = async (): Promise<number[]> => {
      for (const link of links)
        client.receive(link, { type: 'here', added: [{ ...bob, listens: false }], gone: [], relays: true });
      dialed.length = 0;
      const { signal } = new AbortController();
      await Promise.all([assert.rejects(client.open(bob, signal), { code: 'connection' }), advance(clock, 60_000)]);
      return dialed.map((port) => Math.floor(port / 10));
    };
    for (let i = 0; i < 5; i++) await member(6660 + i, 0, testPeer(mallory.identity));
    assert.deepEqual(await tries(), [666]);
    await member(7777, 1000);
    await member(8888, 20);
    assert.deepEqual(await tries(), [888, 777, 666], 'also before one that answers late');
    await advance(clock, 6 * 60_000);
    assert.deepEqual((await tries())[0], 666, 'for a while');
  });
});
