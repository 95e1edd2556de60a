import assert from 'node:assert/strict';
import { setImmediate as turn } from 'node:timers/promises';
import { PeerwireError } from '../../../../../src/common/errors.ts';
import { silentLogger } from '../../../../../src/common/log.ts';
import type { MemberChannel } from '../../../../../src/peer/network/channel.ts';
import { Reach, type ReachOptions } from '../../../../../src/peer/network/relay/reach.ts';
import { VirtualClock } from '../../../../sim/virtual-clock.ts';
import { TestChannel } from '../../test-channel.ts';
import { advance, sortedPeers, type TestPeer, testPeer } from '../support.ts';

describe('Reach', () => {
  let clock: VirtualClock;
  let small: TestPeer;
  let large: TestPeer;
  let log: string[];
  /** How the other is connected. */
  let connection: 'none' | 'relay' | 'direct';
  let listenPort: number | undefined;
  let canReach: boolean;
  let relayFails: boolean;

  beforeEach(() => {
    clock = new VirtualClock();
    [small, large] = sortedPeers(2) as [TestPeer, TestPeer];
    log = [];
    connection = 'none';
    listenPort = undefined;
    canReach = true;
    relayFails = false;
  });

  const ref = ({ device, instance }: TestPeer) => ({ device, instance });

  function reach(self: TestPeer, other: TestPeer, listens = false, change: Partial<ReachOptions> = {}): Reach {
    const note = (text: string): void => void log.push(`${Math.round(clock.now() / 100) / 10} ${text}`);
    return new Reach({
      self,
      client: {
        known: () => new Map([[`${other.device}/${other.instance}`, { ...ref(other), listens }]]),
        call: () => {
          note('call');
          return true;
        },
        canReach: () => canReach,
        open: () => {
          note('relay');
          return relayFails
            ? Promise.reject(new PeerwireError('connection', 'no'))
            : Promise.resolve(new TestChannel(other, true));
        },
      },
      ...{ clock, logger: silentLogger, listenPort: () => listenPort },
      dial: ({ host, port }) => {
        note(`dial ${host}:${port}`);
        return Promise.resolve(new TestChannel(other, true));
      },
      isConnected: () => connection !== 'none',
      isDirect: () => connection === 'direct',
      isRevoked: () => false,
      isKnown: () => true,
      relayed: () => 0,
      hasRoom: () => true,
      onChannel: (channel: MemberChannel, dialed) => {
        note(dialed === undefined ? 'relayed' : 'dialled');
        connection = dialed === undefined ? 'relay' : 'direct';
        assert.equal(channel.device, other.device);
      },
      ...change,
    });
  }

  it('asks a relay at once when nobody listens; the larger peer leaves it to the smaller for a while', async () => {
    reach(small, large).poke();
    await advance(clock, 100);
    assert.deepEqual(log, ['0 relay', '0 relayed']);
    [log, connection] = [[], 'none'];
    reach(large, small).poke();
    await advance(clock, 2000);
    assert.deepEqual(log, []);
    await advance(clock, 1000);
    assert.deepEqual(log, ['2.6 relay', '2.6 relayed']);
  });

  it('has the other called first when it listens itself, and gives that time', async () => {
    listenPort = 7000;
    reach(small, large).poke();
    await advance(clock, 2000);
    assert.deepEqual(log, ['0 call']);
    await advance(clock, 1000);
    assert.deepEqual(log, ['0 call', '2.5 relay', '2.5 relayed']);
  });

  it('goes on calling while a relay is in use, and stops when the way is direct', async () => {
    listenPort = 7000;
    const finder = reach(small, large);
    finder.poke();
    await advance(clock, 800_000);
    assert.deepEqual(
      log.filter((line) => line.includes('call')),
      ['0 call', '60 call', '360 call', '660 call'],
    );
    log = [];
    finder.retryNow();
    await turn();
    assert.deepEqual(log, ['800 call'], 'the network changed');
    await advance(clock, 320_000);
    assert.deepEqual(log, ['800 call', '810 call', '1110 call'], 'once more soon: the first may have been missed');
    connection = 'direct';
    finder.poke();
    await advance(clock, 800_000);
    assert.equal(log.length, 3);
  });

  it('tries relays again, less and less often', async () => {
    relayFails = true;
    reach(small, large).poke();
    await advance(clock, 500_000);
    assert.deepEqual(log, ['0 relay', '3 relay', '13 relay', '43 relay', '103 relay', '403 relay']);
  });

  it('asks for no relay that is not there', async () => {
    canReach = false;
    const finder = reach(small, large);
    finder.poke();
    await advance(clock, 60_000);
    assert.deepEqual(log, []);
    canReach = true;
    finder.poke();
    await advance(clock, 100);
    assert.equal(log.length, 2);
  });

  it('asks for another relay soon when one is gone', async () => {
    const finder = reach(small, large);
    finder.poke();
    await advance(clock, 10_000);
    connection = 'none';
    finder.poke();
    await advance(clock, 1000);
    assert.deepEqual(log, ['0 relay', '0 relayed', '10 relay', '10 relayed']);
  });

  describe('called by another', () => {
    it('dials where the member says it sees it', async () => {
      await reach(small, large).onCalled(ref(large), { host: '192.0.2.7', port: 7000 }, '192.0.2.1');
      assert.deepEqual(log, ['0 dial 192.0.2.7:7000', '0 dialled']);
    });

    it('dials no address that a member must not lead it to', async () => {
      const finder = reach(small, large);
      for (const host of [
        '127.0.0.1',
        '::1',
        '169.254.169.254',
        'fe80::1',
        '224.0.0.1',
        '0.0.0.0',
        'metadata.internal',
      ])
        await finder.onCalled(ref(large), { host, port: 80 }, '192.0.2.1');
      assert.deepEqual(log, []);
    });

    it('dials nobody who is connected already, nor itself', async () => {
      const finder = reach(small, large);
      await finder.onCalled(ref(small), { host: '192.0.2.7', port: 7000 }, '192.0.2.1');
      connection = 'direct';
      await finder.onCalled(ref(large), { host: '192.0.2.7', port: 7000 }, '192.0.2.1');
      assert.deepEqual(log, []);
    });

    it('dials only so often, and so many at once', async () => {
      const finder = reach(small, large, false, {
        dial: () => {
          log.push('dial');
          return Promise.reject(new PeerwireError('connection', 'no'));
        },
      });
      const call = (by: string, caller = testPeer()): Promise<void> =>
        finder.onCalled(ref(caller), { host: `192.0.2.${log.length}`, port: 7000 }, '192.0.2.1', by);
      const caller = testPeer();
      for (let i = 0; i < 100; i++) await call('cleo', caller);
      assert.equal(log.length, 6, 'of one caller');
      for (let i = 0; i < 100; i++) await call('cleo');
      assert.equal(log.length, 20, 'passed on by one member');
      await call('dora');
      assert.equal(log.length, 21, 'others are heard all the same');
      for (let i = 0; i < 100; i++) await call(`${i}`);
      assert.equal(log.length, 40, 'in all');
      await advance(clock, 60_000);
      log = [];
      const slow = reach(small, large, false, {
        dial: ({ signal }) => {
          log.push('dial');
          return new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('late'))));
        },
      });
      const calls = Array.from({ length: 20 }, () =>
        slow.onCalled(ref(testPeer()), { host: '192.0.2.7', port: 7000 }, '192.0.2.1'),
      );
      assert.equal(log.length, 8);
      await advance(clock, 5000);
      await Promise.all(calls);
    });

    it('closes another window of the device that answers', async () => {
      const channel = new TestChannel({ ...large, instance: small.instance }, true);
      await reach(small, large, false, { dial: () => Promise.resolve(channel) }).onCalled(
        ref(large),
        { host: '192.0.2.7', port: 7000 },
        '192.0.2.1',
      );
      assert.ok(channel.closed);
      assert.deepEqual(log, []);
    });
  });
});
