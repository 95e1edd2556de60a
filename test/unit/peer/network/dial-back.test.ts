import assert from 'node:assert/strict';
import { onAbort } from '../../../../src/common/abort.ts';
import { PeerwireError } from '../../../../src/common/errors.ts';
import type { MemberChannel } from '../../../../src/peer/network/channel.ts';
import type { DialBackOutcome } from '../../../../src/peer/network/control-messages.ts';
import type { ControlPeer } from '../../../../src/peer/network/control-peer.ts';
import { DialBack } from '../../../../src/peer/network/dial-back.ts';
import type { DialTarget } from '../../../../src/peer/network/dialer.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { channelPair, controlPair } from './control-pair.ts';
import { advance, testPeer } from './support.ts';

describe('DialBack', () => {
  const ada = testPeer();
  const bob = testPeer();
  let clock: VirtualClock;
  let dialed: DialTarget[];
  /** What comes of bob dialing. */
  let dial: (target: DialTarget) => Promise<MemberChannel>;
  let asker: DialBack;
  let link: ControlPeer;
  let theirs: ControlPeer;

  beforeEach(() => {
    clock = new VirtualClock();
    dialed = [];
    dial = () => Promise.resolve(reached(ada));
  });

  const reached = (peer = ada): MemberChannel =>
    channelPair(clock, { peer: bob, host: '10.0.0.2' }, { peer, host: '10.0.0.1' })[0];

  /** Ada, who listens at port 7001, is connected to bob. */
  async function connect(listenPort: number | undefined = 7001, host = '10.0.0.1'): Promise<void> {
    asker = new DialBack({ clock, dial: () => assert.fail('who asks dials nobody') });
    const answerer = new DialBack({
      clock,
      dial: (target) => {
        dialed.push(target);
        return dial(target);
      },
    });
    const { one, two } = await controlPair(
      clock,
      {
        ...{ peer: ada, name: 'ada', host, listenPort: listenPort === 0 ? undefined : listenPort },
        handler: {
          onConnect: (from, message) => message.type === 'backed' && asker.answered(from, message.id, message.outcome),
        },
      },
      {
        ...{ peer: bob, name: 'bob', host: '10.0.0.2', listenPort: 7002 },
        handler: {
          onConnect: (from, message) => void (message.type === 'back' && answerer.answer(from, message.id)),
        },
      },
      '10.0.0.2:7002',
    );
    [link, theirs] = [one, two];
  }

  /** What ada hears, given so many seconds. */
  async function ask(seconds = 8): Promise<DialBackOutcome | undefined | 'nothing'> {
    let heard: DialBackOutcome | undefined | 'nothing' = 'nothing';
    void asker.ask(link).then((outcome) => {
      heard = outcome;
    });
    for (let left = seconds * 10; left > 0 && heard === 'nothing'; left--) await advance(clock, 100);
    return heard;
  }

  it('dials where it sees who asks, at the port that this one listens on, and only that device', async () => {
    await connect();
    assert.equal(await ask(), 'ok');
    assert.deepEqual(
      dialed.map(({ host, port, expectDevice }) => [host, port, expectDevice]),
      [['10.0.0.1', 7001, ada.device]],
    );
  });

  for (const [name, outcome, fail] of [
    ['nobody answers', 'dropped', () => new Promise<never>(() => {})],
    ['the connection is refused', 'refused', () => Promise.reject(new PeerwireError('connection', 'Refused.'))],
    ['somebody else is there', 'other', () => Promise.reject(new PeerwireError('not-admitted', 'Another.'))],
  ] as const)
    it(`says that ${name}`, async () => {
      await connect();
      dial = (target) => {
        const failed = fail();
        return Promise.race([failed, new Promise<never>((_, reject) => onAbort(target.signal, reject))]);
      };
      assert.equal(await ask(), outcome);
    });

  it('says that another window of the device answered', async () => {
    await connect();
    dial = () => Promise.resolve(reached({ ...ada, instance: testPeer().instance }));
    assert.equal(await ask(), 'other');
  });

  it('tries three times in a row, then once in 20 s', async () => {
    await connect();
    const outcomes: unknown[] = [];
    for (let i = 0; i < 5; i++) outcomes.push(await ask());
    assert.deepEqual(outcomes, ['ok', 'ok', 'ok', 'busy', 'busy']);
    assert.equal(dialed.length, 3);
    await advance(clock, 20_000);
    assert.equal(await ask(), 'ok');
  });

  it('dials nobody who does not listen', async () => {
    await connect(0);
    assert.equal(await ask(), 'busy');
    assert.deepEqual(dialed, []);
  });

  it('is no way to look at the ports of others who are behind the same address', async () => {
    await connect();
    dial = () => Promise.reject(new PeerwireError('connection', 'Refused.'));
    for (let port = 2000; port < 2100; port++) {
      link.update('ada', port);
      await advance(clock, 30_000);
      await ask();
    }
    assert.ok(dialed.length > 0 && dialed.length <= 4, `${dialed.length} ports in 50 minutes`);
    assert.ok(dialed.every(({ once }) => once));
    // Whoever has moved may ask again, later.
    await advance(clock, 3_600_000);
    assert.equal(await ask(), 'refused');
  });

  it('tries no ports of systems', async () => {
    for (const [port, tried] of [
      [22, 0],
      [1023, 0],
      [443, 1],
      [1024, 1],
    ] as const) {
      await connect(port);
      dialed = [];
      assert.equal(await ask(), tried === 1 ? 'ok' : 'busy');
      assert.equal(dialed.length, tried);
    }
  });

  it('says of its own machine, where a tunnel may end, no more than whether who asks is there', async () => {
    for (const fail of ['connection', 'not-admitted', 'protocol'] as const) {
      await connect(7001, '127.0.0.1');
      const begun = clock.now();
      dial = () => Promise.reject(new PeerwireError(fail, 'No.'));
      assert.equal(await ask(), 'dropped');
      assert.ok(clock.now() - begun >= 4000);
      dial = () => Promise.resolve(reached(ada));
      assert.equal(await ask(), 'ok');
    }
  });

  it('gives up one who says nothing, and believes only who was asked', async () => {
    await connect();
    dial = () => new Promise<never>(() => {});
    const asked = asker.ask(link);
    asker.answered(theirs, 1, 'ok');
    link.close();
    await advance(clock, 7000);
    assert.equal(await asked, undefined);
  });
});
