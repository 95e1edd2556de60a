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
});
