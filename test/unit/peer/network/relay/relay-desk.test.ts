import assert from 'node:assert/strict';
import { RateLimiter } from '../../../../../src/bittorrent/rate-limiter.ts';
import type { DeviceId } from '../../../../../src/common/ids.ts';
import { silentLogger } from '../../../../../src/common/log.ts';
import type { ControlPeer } from '../../../../../src/peer/network/control-peer.ts';
import { Links } from '../../../../../src/peer/network/links.ts';
import { RelayDesk } from '../../../../../src/peer/network/relay/relay-desk.ts';
import { RelayHost } from '../../../../../src/peer/network/relay/relay-host.ts';
import type { RelayMessage } from '../../../../../src/peer/network/relay/relay-messages.ts';
import { VirtualClock } from '../../../../sim/virtual-clock.ts';
import { controlPair } from '../control-pair.ts';
import { advance, NETWORK, type TestPeer, testPeer } from '../support.ts';

const ID = '0123456789abcdef';

describe('RelayDesk', () => {
  let clock: VirtualClock;
  let links: Links;
  let desk: RelayDesk;
  let host: RelayHost | undefined;
  let revoked: Set<DeviceId>;
  let cleo: TestPeer;
  let ada: Visitor;
  let bob: Visitor;

  /** A member that is connected to Cleo: its end, and what it heard. */
  interface Visitor {
    readonly peer: TestPeer;
    readonly end: ControlPeer;
    readonly heard: RelayMessage[];
  }

  async function visit(
    which: 'it dialed' | 'Cleo dialed',
    {
      host: address = '10.0.0.2',
      listenPort = undefined as number | undefined,
      relay = false,
      device = undefined as TestPeer | undefined,
    } = {},
  ): Promise<Visitor> {
    const peer = testPeer(device?.identity);
    const heard: RelayMessage[] = [];
    const own = {
      ...{ peer: cleo, name: 'cleo', host: '10.0.0.1', listenPort: 6881 },
      handler: {
        onRelay: (link: ControlPeer, message: RelayMessage) => desk.receive(link, message),
        onClose: (link: ControlPeer) => {
          links.remove(link);
          desk.leave(link);
        },
      },
    };
    const other = {
      ...{ peer, name: 'x', host: address, listenPort },
      handler: { onRelay: (_: ControlPeer, message: RelayMessage) => void heard.push(message) },
    };
    const { one, two, b } = await controlPair(
      clock,
      which === 'it dialed' ? other : own,
      which === 'it dialed' ? own : other,
    );
    const [end, link] = which === 'it dialed' ? [one, two] : [two, one];
    if (relay) Object.assign(b, { relay: testPeer().device });
    assert.ok(links.add(link));
    desk.join(link);
    await advance(clock, 1000);
    return { peer, end, heard };
  }

  const names = (visitor: Visitor) =>
    visitor.heard.flatMap((message) =>
      message.type === 'here'
        ? [
            ...message.added.map(({ device, listens }) => `+${device.slice(0, 6)}${listens ? ' listens' : ''}`),
            ...message.gone.map(({ device }) => `-${device.slice(0, 6)}`),
          ]
        : [],
    );
  const short = ({ peer }: Visitor): string => peer.device.slice(0, 6);
  const ref = ({ peer: { device, instance } }: Visitor) => ({ device, instance });
  const answers = (visitor: Visitor) => visitor.heard.filter(({ type }) => type !== 'here');

  beforeEach(async () => {
    clock = new VirtualClock();
    revoked = new Set();
    cleo = testPeer();
    links = new Links(cleo);
    host = new RelayHost({ clock, logger: silentLogger, upload: new RateLimiter(clock) });
    desk = new RelayDesk({
      ...{ network: NETWORK, links, clock },
      isRevoked: (device) => revoked.has(device),
      host: () => host,
    });
    ada = await visit('it dialed');
    bob = await visit('it dialed', { host: '10.0.0.3', listenPort: 7000 });
  });

  it('tells of those whom it never dialled, to all but themselves, and only what is new', async () => {
    assert.deepEqual(names(ada), [`+${short(bob)} listens`]);
    assert.deepEqual(names(bob), [`+${short(ada)}`]);
    const dialed = await visit('Cleo dialed', { listenPort: 6881 });
    assert.deepEqual(names(dialed).sort(), [`+${short(ada)}`, `+${short(bob)} listens`].sort());
    assert.equal(names(ada).length, 1, 'others can dial whom Cleo dialled');
    bob.end.close();
    await advance(clock, 1000);
    assert.deepEqual(names(ada), [`+${short(bob)} listens`, `-${short(bob)}`]);
  });

  it('says whether it relays, and when that changes', async () => {
    const last = () => ada.heard.findLast(({ type }) => type === 'here');
    assert.ok(last()?.type === 'here' && (last() as { relays: boolean }).relays);
    host = undefined;
    desk.changed();
    await advance(clock, 1000);
    assert.equal((last() as { relays: boolean }).relays, false);
  });

  it('passes a call on with the address at which it sees the caller', async () => {
    bob.end.sendRelay({ type: 'call', peer: ref(ada) });
    await advance(clock, 50);
    assert.deepEqual(answers(ada), [{ type: 'called', peer: ref(bob), host: '10.0.0.3', port: 7000 }]);
    ada.end.sendRelay({ type: 'call', peer: ref(bob) });
    await advance(clock, 50);
    assert.deepEqual(answers(bob), [], 'nobody can dial who does not listen');
  });

  it('gives each end its own token', async () => {
    ada.end.sendRelay({ type: 'want', id: ID, peer: ref(bob) });
    await advance(clock, 50);
    const [[open], [join]] = [answers(ada), answers(bob)];
    assert.ok(open?.type === 'open' && join?.type === 'join');
    assert.equal(open.id, ID);
    assert.deepEqual(join.peer, ref(ada));
    assert.ok(!open.token.equals(join.token));
    assert.equal(host?.sessions, 1);
  });

  it('refuses what leads nowhere: to itself, to who is not here, to removed devices, without consent', async () => {
    const absent = testPeer();
    const wants = [ref(ada), { device: absent.device, instance: absent.instance }, { ...cleo, identity: undefined }];
    for (const peer of wants) ada.end.sendRelay({ type: 'want', id: ID, peer });
    revoked.add(bob.peer.device);
    ada.end.sendRelay({ type: 'want', id: ID, peer: ref(bob) });
    await advance(clock, 50);
    revoked.clear();
    const consenting = host;
    host = undefined;
    ada.end.sendRelay({ type: 'want', id: ID, peer: ref(bob) });
    await advance(clock, 50);
    assert.deepEqual(
      answers(ada),
      Array.from({ length: 5 }, () => ({ type: 'no', id: ID })),
    );
    assert.equal(consenting?.sessions, 0);
    assert.deepEqual(answers(bob), []);
  });

  it('answers nothing that a removed device asks', async () => {
    revoked.add(ada.peer.device);
    ada.end.sendRelay({ type: 'want', id: ID, peer: ref(bob) });
    ada.end.sendRelay({ type: 'call', peer: ref(bob) });
    ada.end.sendRelay({ type: 'ping', id: ID });
    await advance(clock, 50);
    assert.deepEqual([...answers(ada), ...answers(bob)], []);
  });

  it('relays nothing for who is behind a relay itself, and does not tell of them', async () => {
    const behind = await visit('it dialed', { relay: true });
    assert.deepEqual(behind.heard, []);
    behind.end.sendRelay({ type: 'want', id: ID, peer: ref(bob) });
    ada.end.sendRelay({ type: 'want', id: ID, peer: ref(behind) });
    await advance(clock, 1000);
    assert.deepEqual(answers(behind), []);
    assert.deepEqual(answers(ada), [{ type: 'no', id: ID }]);
    assert.equal(names(ada).length, 1);
  });

  it('heeds only so many requests', async () => {
    for (let i = 0; i < 500; i++) ada.end.sendRelay({ type: 'ping', id: ID });
    await advance(clock, 100);
    assert.ok(answers(ada).length >= 60 && answers(ada).length < 65, `${answers(ada).length} answers`);
    await advance(clock, 2000);
    const before = answers(ada).length;
    ada.end.sendRelay({ type: 'ping', id: ID });
    await advance(clock, 100);
    assert.equal(answers(ada).length, before + 1);
    assert.deepEqual(answers(ada).at(-1), { type: 'pong', id: ID, load: 0 });
  });

  it('heeds no more of a device that has many connections', async () => {
    const windows = [ada];
    while (windows.length < 5) windows.push(await visit('it dialed', { device: ada.peer }));
    await advance(clock, 20_000);
    for (const { end } of windows) for (let i = 0; i < 100; i++) end.sendRelay({ type: 'ping', id: ID });
    await advance(clock, 100);
    const heeded = windows.reduce((sum, one) => sum + answers(one).length, 0);
    assert.ok(heeded >= 60 && heeded < 65, `${heeded} answers`);
    bob.end.sendRelay({ type: 'ping', id: ID });
    await advance(clock, 100);
    assert.equal(answers(bob).length, 1);
  });
});
