import assert from 'node:assert/strict';
import { type Section, signSection } from '../../../../src/peer/network/catalogue.ts';
import type { ControlPeer } from '../../../../src/peer/network/control-peer.ts';
import { Directory } from '../../../../src/peer/network/directory.ts';
import { Links } from '../../../../src/peer/network/links.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { type ControlEnd, controlPair } from './control-pair.ts';
import {
  advance,
  hold,
  section,
  share,
  shareNames,
  sortedPeers,
  type TestNode,
  type TestPeer,
  TestRegister,
  testNode,
  testPeer,
} from './support.ts';

describe('Directory', () => {
  let clock: VirtualClock;
  let node: TestNode;
  let links: Links;
  let directory: Directory;
  let ada: TestPeer;
  let bob: TestPeer;

  beforeEach(() => {
    clock = new VirtualClock();
    // Of two connections to one peer both stay when we are the smaller.
    const [self, ...others] = sortedPeers(3);
    [ada, bob] = others as [TestPeer, TestPeer];
    node = testNode(clock, new TestRegister(), self);
    links = new Links(node.peer);
    directory = new Directory(links, node.store);
  });

  function sign(peer: TestPeer, fields: Partial<Section>): void {
    const { bytes } = signSection(section(peer, fields), peer.identity, Buffer.from(peer.device));
    assert.equal(node.store.offer(bytes).kind, 'new');
  }

  /** A connection that is in `links`, as long as the other end does not close it. */
  async function connect(
    peer: TestPeer,
    which: 'we dial' | 'it dials',
    end: Partial<ControlEnd> = {},
  ): Promise<ControlPeer> {
    const other: ControlEnd = { peer, name: 'named in the handshake', host: '10.0.0.2', listenPort: 7000, ...end };
    const handler = { onClose: (link: ControlPeer) => void links.remove(link) };
    const self: ControlEnd = { peer: node.peer, name: 'we', host: '10.0.0.1', listenPort: 7001, handler };
    const link =
      which === 'we dial' ? (await controlPair(clock, self, other)).one : (await controlPair(clock, other, self)).two;
    assert.ok(links.add(link));
    return link;
  }

  it('lists who is connected once, by the name it signed', async () => {
    const first = await connect(ada, 'we dial');
    await advance(clock, 1_000);
    await connect(ada, 'it dials', { name: 'ada?' });
    await connect(bob, 'it dials', { name: 'bob?', host: '10.0.0.3' });
    sign(ada, { name: 'Ada@lab' });
    const { device, instance } = ada;
    assert.deepEqual(directory.peers(), [
      // Where we dialed it with success, rather than what it said later on its way in.
      { device, instance, name: 'Ada@lab', address: '10.0.0.2:6881', via: 'direct', since: first.since },
      {
        ...{ device: bob.device, instance: bob.instance, name: 'bob?', address: '10.0.0.3:7000' },
        via: 'direct',
        since: directory.peers()[1]!.since,
      },
    ]);
    assert.ok(directory.peers()[1]!.since > first.since);
    assert.equal(directory.isConnected(ada), true);
    assert.equal(directory.isConnected({ ...ada, instance: bob.instance }), false);
  });

  it('forgets a peer with its last connection, but not its catalogue', async () => {
    const file = share({ name: 'kept.txt' });
    const [one, two] = [await connect(ada, 'it dials'), await connect(ada, 'we dial')];
    sign(ada, { shares: [file] });
    one.close();
    await advance(clock, 20);
    assert.equal(directory.peers().length, 1);
    assert.equal(directory.catalogues()[0]?.online, true);
    two.close();
    await advance(clock, 20);
    assert.deepEqual(directory.peers(), []);
    const [catalogue, ...others] = directory.catalogues();
    assert.equal(others.length, 0);
    assert.deepEqual([catalogue?.online, shareNames(catalogue?.shares ?? [])], [false, ['kept.txt']]);
    assert.deepEqual(directory.holdersOf(file.infohash), []);
  });

  it('names connected holders alone, and says who has everything', async () => {
    const file = share();
    const offline = testPeer();
    sign(ada, { shares: [file] });
    sign(bob, { name: 'Bob', holds: [hold(file, ada.device, false)] });
    sign(offline, { holds: [hold(file, ada.device)] });
    await connect(ada, 'it dials', { listenPort: undefined });
    await connect(bob, 'it dials');
    assert.deepEqual(
      directory
        .holdersOf(file.infohash)
        .map(({ device, name, address, complete }) => [device, name, address, complete]),
      [
        [ada.device, 'Ada@lab', undefined, true],
        [bob.device, 'Bob', '10.0.0.2:7000', false],
      ],
    );
    assert.deepEqual(directory.holdersOf(share().infohash), []);
    assert.deepEqual([directory.countHolders(file.infohash), directory.countHolders(share().infohash)], [2, 0]);
  });

  it('calls a device by the name that its connected window gave, else by one that another window gave', async () => {
    const window = testPeer(ada.identity);
    sign(window, { name: 'Ada, last week' });
    assert.equal(directory.nameOf(ada.device), 'Ada, last week');
    await connect(ada, 'it dials', { name: 'Ada, now' });
    assert.equal(directory.nameOf(ada.device), 'Ada, now');
    assert.equal(directory.nameOf(bob.device), undefined);
  });

  it('tells who may have a share by its owner’s word alone', () => {
    const open = share();
    const to = [bob.device, node.peer.device].sort();
    const secret = share({ to });
    sign(ada, { shares: [open] });
    sign(ada, { to, shares: [secret] });
    // Who lists the same version for everyone opens nothing but what it lists.
    sign(bob, { shares: [share({ infohash: secret.infohash })] });
    assert.equal(directory.audienceOf(ada.device, open.share), 'everyone');
    assert.deepEqual(
      directory.audienceOf(ada.device, secret.share),
      new Set([ada.device, bob.device, node.peer.device]),
    );
    assert.equal(directory.audienceOf(bob.device, secret.share), undefined);
    assert.equal(directory.audienceOf(bob.device, open.share), undefined);
  });
});
