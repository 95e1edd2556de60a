import assert from 'node:assert/strict';
import { encode } from '../../../../src/bittorrent/bencode.ts';
import { readHandshake } from '../../../../src/bittorrent/incoming-wire.ts';
import { PeerWire } from '../../../../src/bittorrent/peer-wire.ts';
import { PeerwireError } from '../../../../src/common/errors.ts';
import { silentLogger } from '../../../../src/common/log.ts';
import type { MemberChannel } from '../../../../src/peer/network/channel.ts';
import { EXTENSIONS, MAX_FRAME } from '../../../../src/peer/network/control-messages.ts';
import {
  ControlPeer,
  type ControlPeerHandler,
  DEAD_AFTER,
  KEEP_ALIVE,
  PING_TIMEOUT,
} from '../../../../src/peer/network/control-peer.ts';
import { SwarmDialer } from '../../../../src/peer/network/swarm-dialer.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { type ControlEnd, channelPair, controlPair, optionsOf } from './control-pair.ts';
import { advance, share, type TestPeer, testPeer } from './support.ts';

describe('ControlPeer', () => {
  let clock: VirtualClock;
  let bob: TestPeer;
  let from: Omit<ControlEnd, 'listenPort'>;
  let to: Omit<ControlEnd, 'listenPort'>;
  let log: string[];

  beforeEach(() => {
    clock = new VirtualClock();
    bob = testPeer();
    from = { peer: testPeer(), name: 'ada', host: '::ffff:10.0.0.1' };
    to = { peer: bob, name: 'bob\u202E', host: '10.0.0.2' };
    log = [];
  });

  function handler(name: string): ControlPeerHandler {
    return {
      onReady: () => log.push(`${name} ready`),
      onCatalogue: (_, message) => log.push(`${name} ${message.type}`),
      onMembership: (_, message) => log.push(`${name} membership ${message.type}`),
      onPex: () => log.push(`${name} pex`),
      onConnect: () => log.push(`${name} connect`),
      onRelay: (_, message) => log.push(`${name} relay ${message.type}`),
      onUpdate: () => log.push(`${name} update`),
      onWritable: () => {},
      onClose: (_, reason) => log.push(`${name} closed ${reason?.code ?? 'in order'}`),
    };
  }

  /** Ada dials Bob; both ends, and their channels. */
  const pair = (adaPort: number | 'none' = 7001, bobPort = 6881) =>
    controlPair(
      clock,
      { ...from, listenPort: adaPort === 'none' ? undefined : adaPort, handler: handler('ada') },
      { ...to, listenPort: bobPort, handler: handler('bob') },
    );

  /** A member that speaks as the test pleases, connected to Ada’s control peer. */
  async function puppet() {
    const [atAda, atPuppet] = channelPair(clock, from, to);
    const one = ControlPeer.initiate(atAda, optionsOf(clock, { ...from, listenPort: 7001 }), handler('ada'));
    const incoming = await Promise.all([readHandshake(atPuppet, clock), advance(clock, 20)]);
    const wire = PeerWire.accept(
      incoming[0],
      { peerId: Buffer.alloc(20, 2), extensions: EXTENSIONS },
      {
        onReady() {},
        onMessage() {},
        onExtendedHandshake() {},
        onExtended() {},
        onBlockStart: () => undefined,
        onBlockEnd() {},
        onDrain() {},
        onClose() {},
      },
    );
    await advance(clock, 50);
    log = [];
    return { one, wire, channel: atAda };
  }

  it('introduces both sides', async () => {
    const { one, two } = await pair();
    assert.deepEqual(log.sort(), ['ada ready', 'bob ready']);
    assert.equal(one.name, 'bob', 'made printable');
    assert.equal(one.address, '10.0.0.2:6881', 'where we dialled it');
    assert.equal(two.address, '10.0.0.1:7001', 'where we see it, at the port that it names');
    assert.ok(one.initiator && !two.initiator);
    assert.ok(one.supports('ut_pex') && two.supports('pw_catalogue'));
  });

  it('knows no address of a peer that does not listen', async () => {
    const { two } = await pair('none');
    assert.equal(two.listenPort, undefined);
    assert.equal(two.address, undefined);
  });

  it('carries each kind of message', async () => {
    const { one } = await pair();
    log = [];
    one.sendCatalogue({ type: 'heads', heads: [] });
    one.sendMembership({ type: 'head', head: 'x' });
    one.sendPex({ added: [{ host: '10.0.0.3', port: 1, flags: 0 }], dropped: [] });
    assert.ok(one.sendConnect({ type: 'dial', infohash: share().infohash }));
    await advance(clock, 50);
    assert.deepEqual(log, ['bob heads', 'bob membership head', 'bob pex', 'bob connect']);
  });

  it('tells a changed name and port', async () => {
    const { one, two } = await pair();
    one.update('ada at home', 7777);
    await advance(clock, 50);
    assert.ok(log.includes('bob update'));
    assert.equal(two.name, 'ada at home');
    assert.equal(two.listenPort, 7777);
    one.update('ada at home', undefined);
    await advance(clock, 50);
    assert.equal(two.listenPort, undefined);
  });

  it('stays open in silence, by keep-alives', async () => {
    const { one, two } = await pair();
    await advance(clock, 20 * DEAD_AFTER);
    assert.ok(one.ready && two.ready);
    assert.ok(one.silence <= KEEP_ALIVE && two.silence <= KEEP_ALIVE);
  });

  it('gives up a connection that broke without a word', async () => {
    const { a, b } = await pair();
    a.stalled = b.stalled = true;
    await advance(clock, 20_000);
    assert.ok(!log.some((line) => line.includes('closed')));
    // Early enough for the other to be dialled again within a minute.
    await advance(clock, 30_000);
    assert.ok(log.includes('ada closed timeout') || log.includes('bob closed timeout'));
    assert.equal(log.filter((line) => line.includes('closed')).length, 2);
    assert.equal(clock.pending, 0);
  });

  it('asks for a sign of life, and stays open when one comes', async () => {
    const { one, two } = await pair();
    for (let i = 0; i < 5; i++) {
      one.probe();
      assert.equal(one.doubtful, false);
      await advance(clock, PING_TIMEOUT + 1000);
      assert.ok(one.silence < PING_TIMEOUT + 1000, 'there was an answer');
    }
    assert.ok(one.ready && two.ready);
  });

  it('gives up a connection that brings no sign of life', async () => {
    const { one, a, b } = await pair();
    a.stalled = b.stalled = true;
    one.probe();
    await advance(clock, PING_TIMEOUT - 1);
    assert.ok(one.ready && one.doubtful);
    await advance(clock, 1000);
    assert.ok(log.includes('ada closed timeout'));
  });

  it('gives up a peer that never finishes its handshake', async () => {
    const [a] = channelPair(clock, from, to);
    ControlPeer.initiate(a, optionsOf(clock, { ...from, listenPort: 1 }), handler('ada'));
    await advance(clock, 20_000);
    assert.deepEqual(log, ['ada closed timeout']);
    assert.equal(clock.pending, 0);
  });

  it('closes on what is not well-formed', async () => {
    for (const [extension, payload, code] of [
      ['pw_catalogue', encode({ t: 'heads', rows: 'x' }), 'bad-encoding'],
      ['pw_membership', Buffer.from('le'), 'bad-encoding'],
      ['pw_connect', encode({ t: 'dial' }), 'bad-encoding'],
      ['ut_pex', Buffer.from('i1e'), 'bad-encoding'],
      ['pw_catalogue', Buffer.alloc(MAX_FRAME), 'protocol'],
    ] as const) {
      const { wire } = await puppet();
      wire.sendExtended(extension, payload);
      await advance(clock, 50);
      assert.deepEqual(log, [`ada closed ${code}`], extension);
    }
  });

  it('ignores messages of versions to come', async () => {
    const { wire, one } = await puppet();
    for (const extension of ['pw_catalogue', 'pw_membership', 'pw_connect'] as const) {
      wire.sendExtended(extension, encode({ t: 'later', data: [1, 2, 3] }));
    }
    wire.send({ type: 'have', piece: 3 });
    await advance(clock, 50);
    assert.deepEqual(log, []);
    assert.ok(one.ready);
  });

  it('reads slowly from who sends too much, and loses nothing', async () => {
    const { wire } = await puppet();
    const start = clock.now();
    let sent = 0;
    const flood = clock.setInterval(() => {
      for (let i = 0; i < 100; i++) wire.sendExtended('pw_catalogue', encode({ t: 'heads', rows: '' }));
      sent += 100;
      if (sent >= 5000) flood.dispose();
    }, 10);
    await advance(clock, 10_000);
    const soon = log.length;
    assert.ok(soon > 2000 && soon < 2000 + 220 * ((clock.now() - start) / 1000), `${soon} messages`);
    await advance(clock, 20_000);
    assert.equal(log.length, 5000);
  });

  it('heeds few requests to dial', async () => {
    const { wire } = await puppet();
    for (let i = 0; i < 1000; i++) {
      wire.sendExtended('pw_connect', encode({ t: 'dial', infohash: Buffer.alloc(32, i & 255) }));
    }
    await advance(clock, 100);
    assert.ok(log.length >= 50 && log.length < 60, `${log.length} requests`);
  });

  describe('for swarms', () => {
    const { infohash } = share();
    const failing = () => Promise.reject(new PeerwireError('connection', 'unreachable'));

    function settings(dial: (host: string) => Promise<MemberChannel>, listening = true) {
      const dialed: string[] = [];
      return {
        dialed,
        clock,
        logger: silentLogger,
        dial: ({ host, port }: { host: string; port: number }) => {
          dialed.push(`${host}:${port}`);
          return dial(host);
        },
        listenPort: () => (listening ? 7001 : undefined),
        relay: (): Promise<MemberChannel> => Promise.reject(new PeerwireError('connection', 'Neither; nobody relays.')),
      };
    }

    const signal = () => new AbortController().signal;

    it('dials where it dialled before, and where it sees the peer', async () => {
      const { one } = await pair(7001, 6999);
      const { dialed, ...rest } = settings(failing);
      const dialer = new SwarmDialer(rest);
      assert.equal(await dialer.open([one], infohash, signal()), undefined);
      assert.deepEqual(dialed, ['10.0.0.2:6881', '10.0.0.2:6999']);
      await advance(clock, 50);
      assert.ok(log.includes('bob connect'));
    });

    it('asks at once to be dialled when dialing just failed', async () => {
      const { one } = await pair();
      const { dialed, ...rest } = settings(failing);
      const dialer = new SwarmDialer(rest);
      await dialer.open([one], infohash, signal());
      dialed.length = 0;
      await dialer.open([one], infohash, signal());
      assert.deepEqual(dialed, []);
      dialer.retry(one.peer);
      await dialer.open([one], infohash, signal());
      assert.equal(dialed.length, 1, 'it connected anew');
      dialed.length = 0;
      await advance(clock, 61_000);
      await dialer.open([one], infohash, signal());
      assert.equal(dialed.length, 1);
    });

    it('does not send a request back to who made it', async () => {
      const { one } = await pair();
      const { dialed, ...rest } = settings(failing);
      const dialer = new SwarmDialer(rest);
      await dialer.open([one], infohash, signal());
      dialed.length = 0;
      dialer.noteAsked(one.peer, infohash);
      await assert.rejects(dialer.open([one], infohash, signal()), {
        code: 'connection',
      });
      assert.equal(dialed.length, 1, 'though dialing failed a moment ago');
    });

    it('goes the other way round after a few seconds without an answer', async () => {
      const { one } = await pair();
      const rest = settings(
        () => new Promise(() => {}), // A firewall that drops.
      );
      const aborted = { ...rest, dial: ({ signal: abort }: { signal: AbortSignal }) => untilAborted(abort) };
      const [channel] = await Promise.all([
        new SwarmDialer(aborted).open([one], infohash, signal()),
        advance(clock, 5000),
      ]);
      assert.equal(channel, undefined);
    });

    it('fails when neither side can be dialled', async () => {
      const { two } = await pair('none');
      await assert.rejects(new SwarmDialer(settings(failing, false)).open([two], infohash, signal()), {
        code: 'connection',
        message: /[Nn]either/,
      });
      const { one } = await pair();
      await assert.rejects(new SwarmDialer(settings(failing, false)).open([one], infohash, signal()), {
        code: 'connection',
      });
    });

    it('refuses another peer that answers at the address', async () => {
      const { one } = await pair();
      const stranger = testPeer(bob.identity);
      const [channel] = channelPair(clock, from, { ...to, peer: stranger });
      const dialer = new SwarmDialer(settings(() => Promise.resolve(channel)));
      assert.equal(await dialer.open([one], infohash, signal()), undefined);
      assert.ok(channel.closed);
    });

    it('ends when it is cancelled', async () => {
      const { one } = await pair();
      const abort = new AbortController();
      const rest = { ...settings(failing), dial: (target: { signal: AbortSignal }) => untilAborted(target.signal) };
      const opening = new SwarmDialer(rest).open([one], infohash, abort.signal);
      abort.abort();
      await assert.rejects(opening, { code: 'cancelled' });
    });
  });
});

function untilAborted(signal: AbortSignal): Promise<MemberChannel> {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('aborted'))));
}
