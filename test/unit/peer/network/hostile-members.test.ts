/** Members that use what the control connection lets them say to make others work, dial or remember. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { encode } from '../../../../src/bittorrent/bencode.ts';
import { type DeviceId, deviceIdFromHash, parsePeerInstance } from '../../../../src/common/ids.ts';
import { silentLogger } from '../../../../src/common/log.ts';
import { AddressBook, MAX_ADDRESSES, UNDIALED_PER_DEVICE } from '../../../../src/peer/network/address-book.ts';
import { mayDial } from '../../../../src/peer/network/addresses.ts';
import { signSection } from '../../../../src/peer/network/catalogue.ts';
import { CatalogueGossip, type GossipLink } from '../../../../src/peer/network/catalogue-gossip.ts';
import { MAX_SECTIONS, SECTION_LIFETIME } from '../../../../src/peer/network/catalogue-store.ts';
import type {
  CatalogueMessage,
  MembershipMessage,
  SectionHead,
} from '../../../../src/peer/network/control-messages.ts';
import { MAX_ATTEMPTS } from '../../../../src/peer/network/dialer.ts';
import { MembershipGossip } from '../../../../src/peer/network/membership-gossip.ts';
import { createIdentity } from '../../../../src/transport/identity.ts';
import { checkTrackerUrl } from '../../../../src/transport/tracker-url.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { controlPair } from './control-pair.ts';
import { advance, section, share, testNode, testPeer } from './support.ts';

const nobody = (): boolean => false;
const MINUTE = 60_000;
/** What a dial to an address that swallows packets takes. */
const DIAL_TIMEOUT = 10_000;

describe('a hostile member', () => {
  let clock: VirtualClock;

  beforeEach(() => {
    clock = new VirtualClock();
  });

  describe('and the address book', () => {
    let book: AddressBook;

    beforeEach(() => {
      book = new AddressBook(clock, () => 0.5);
    });

    it('that names ever other ports has us remember and dial the last one', () => {
      const friend = testPeer();
      book.met({ host: '10.0.0.7', port: 6881 }, friend);
      const mallory = testPeer();
      for (let port = 1; port < 3000; port++) book.met({ host: '10.6.6.6', port }, mallory);
      assert.equal(book.size, 2);
      book.lost(mallory, 60_000);
      assert.deepEqual(
        book
          .remembered()
          .map(({ host, port }) => `${host}:${port}`)
          .sort(),
        ['10.0.0.7:6881', '10.6.6.6:2999'],
      );
    });

    it('that comes as ever other peers of one device has us remember a few', () => {
      const identity = createIdentity();
      for (let port = 1; port < 3000; port++) book.met({ host: '10.6.6.6', port }, testPeer(identity));
      assert.equal(book.size, UNDIALED_PER_DEVICE);
    });

    it('keeps where we reached it, whatever it names', () => {
      const windows = Array.from({ length: 2 * UNDIALED_PER_DEVICE }, () => testPeer(windowsOf));
      for (const [index, window] of windows.entries()) {
        book.add({ host: '10.0.0.7', port: 7000 + index }, 'tracker', '192.0.2.9');
        book.succeeded(`10.0.0.7:${7000 + index}`, window);
      }
      book.met({ host: '10.0.0.7', port: 9000 }, windows[0] ?? assert.fail());
      assert.equal(book.size, windows.length + 1);
    });
    const windowsOf = createIdentity();

    it('that floods us with addresses delays nobody whom another told us of, nor whom we know', async () => {
      // All of what it says swallows packets, so that each dial takes as long as it may.
      const dialed = new Set<string>();
      let told = 0;
      const flood = (): void => {
        for (let i = 0; i < 50; i++, told++)
          book.add({ host: `172.16.${(told >> 8) & 255}.${told & 255}`, port: 6881 }, 'pex', '10.6.6.6');
      };
      const step = async (): Promise<void> => {
        const taken = book.take(MAX_ATTEMPTS, nobody);
        for (const { key } of taken) dialed.add(key);
        await advance(clock, DIAL_TIMEOUT);
        for (const { key } of taken) book.failed(key);
      };
      const known = testPeer();
      book.met({ host: '10.0.0.7', port: 6881 }, known);
      // It went away for a moment, and did not answer the first tries.
      book.lost(known, 60_000);
      for (let i = 0; i < 20; i++) {
        flood();
        await step();
      }
      dialed.clear();
      flood();
      book.add({ host: '10.0.0.8', port: 6881 }, 'tracker', '192.0.2.9');
      book.add({ host: '10.0.0.9', port: 6881 }, 'pex', '10.0.0.7');
      await step();
      assert.ok(dialed.has('10.0.0.8:6881') && dialed.has('10.0.0.9:6881'), [...dialed].join(' '));
      for (let i = 0; i < 6; i++) {
        flood();
        await step();
      }
      assert.ok(dialed.has('10.0.0.7:6881'));
    });

    it('cannot fill it: there is room for what others tell', () => {
      const add = (informant: string, from: number): void => {
        for (let i = 0; i < 2 * MAX_ADDRESSES; i++)
          book.add({ host: `172.${from}.${i >> 8}.${i & 255}`, port: 6881 }, 'pex', informant);
        for (let round = 0; round < 100; round++) for (const { key } of book.take(100, nobody)) book.failed(key);
      };
      add('10.6.6.6', 16);
      assert.ok(book.size < MAX_ADDRESSES / 2, `${book.size} addresses`);
      assert.equal(book.add({ host: '10.0.0.8', port: 6881 }, 'tracker', '192.0.2.9'), 'added');
    });

    it('cannot point us at the metadata services of clouds, nor can an invite', () => {
      for (const host of ['169.254.169.254', '192.0.0.192', '100.100.100.200', 'fd00:ec2::254', 'fd20:ce::254']) {
        for (const origin of ['pex', 'tracker', 'lan'] as const) {
          if (host.startsWith('169') && origin === 'lan') continue;
          assert.equal(mayDial({ host, port: 80 }, origin, '10.0.0.1'), false, `${host} by ${origin}`);
        }
        const name = host.includes(':') ? `[${host}]` : host;
        assert.throws(() => checkTrackerUrl(`http://${name}/latest/meta-data/`), { code: 'unsupported' });
      }
    });
  });

  it('that names ever other sets of revocations is sent ours once', () => {
    const sent: MembershipMessage[] = [];
    const revocations = {
      revocationHead: 'ours',
      revocationsBytes: () => Buffer.alloc(500_000),
      applyRevocations() {},
    };
    const gossip = new MembershipGossip(revocations, clock, silentLogger);
    const link = { peer: testPeer(), sendMembership: (message: MembershipMessage) => void sent.push(message) };
    gossip.join(link);
    for (let i = 0; i < 1000; i++) gossip.receive(link, { type: 'head', head: `other ${i}` });
    const bytes = sent.reduce((sum, message) => sum + (message.type === 'part' ? message.data.length : 0), 0);
    assert.equal(bytes, 500_000);
  });

  describe('and revocations', () => {
    /** What is known grows all the time. */
    function growing() {
      const known = { revocationHead: '0', revocationsBytes: () => Buffer.alloc(200_000), applyRevocations() {} };
      return { known, gossip: new MembershipGossip(known, clock, silentLogger) };
    }

    it('that has something new to say all the time has us send all that is known once a second, the last of it for sure', async () => {
      const { known, gossip } = growing();
      const sent: string[] = [];
      gossip.join({
        peer: testPeer(),
        sendMembership: (message) => {
          if (message.type === 'part' && message.at === 0) sent.push(message.head);
        },
      });
      const start = clock.now();
      for (let head = 1; head <= 500; head++) {
        known.revocationHead = String(head);
        gossip.changed();
        // What is new now and then goes out at once.
        if (head <= 3) assert.equal(sent.at(-1), String(head));
        await advance(clock, 20);
      }
      await advance(clock, 1000);
      assert.ok(sent.length <= 6 + (clock.now() - start) / 1000, `${sent.length} sets in 10 s`);
      assert.equal(sent.at(-1), '500');
    });

    it('that sends sets all the time, by all its windows, is let go', () => {
      const { gossip } = growing();
      const identity = createIdentity();
      const links = Array.from({ length: 50 }, () => ({ peer: testPeer(identity), sendMembership() {} }));
      const honest = { peer: testPeer(), sendMembership() {} };
      for (const link of [...links, honest]) gossip.join(link);
      const part = { type: 'part', head: 'h', size: 4, at: 0, data: Buffer.from('data') } as const;
      let refused = 0;
      for (const link of links) {
        try {
          gossip.receive(link, part);
        } catch (error) {
          assert.equal((error as { code?: string }).code, 'protocol');
          refused++;
        }
      }
      assert.equal(refused, 10);
      gossip.receive(honest, part);
    });
  });

  it('that changes its port and name all the time is heard a few times', async () => {
    let updates = 0;
    const [ada, ben] = [testPeer(), testPeer()];
    const { two } = await controlPair(
      clock,
      { peer: ada, name: 'ada', host: '10.0.0.1', listenPort: 7001, handler: { onUpdate: () => void updates++ } },
      { peer: ben, name: 'ben', host: '10.0.0.2', listenPort: 7002 },
    );
    const flood = clock.setInterval(() => {
      for (let i = 0; i < 100; i++) two.update(`ben ${i}`, 1 + i);
    }, 10);
    await advance(clock, 10_000);
    flood.dispose();
    // What is in one piece of the stream is read at once.
    assert.ok(updates > 5 && updates < 500, `${updates} updates in 10 s`);
  });

  describe('and catalogues', () => {
    it('that names sections which do not exist is asked for a bounded number of them', async () => {
      const node = testNode(clock);
      const wants: CatalogueMessage[] = [];
      const gossip = new CatalogueGossip({
        store: node.store,
        clock,
        logger: silentLogger,
        isRevoked: () => false,
        onOwn: () => assert.fail(),
      });
      const link: GossipLink = {
        peer: testPeer(),
        writable: true,
        takesDeltas: true,
        sendCatalogue: (message) => {
          if (message.type === 'want') wants.push(message);
        },
      };
      gossip.join(link);
      let asked = 0;
      for (let round = 0; round < 400; round++) {
        gossip.receive(link, { type: 'heads', heads: Array.from({ length: 100 }, invented) });
        // It answers at once, and never with what it was asked for.
        for (let want = wants.shift(); want?.type === 'want'; want = wants.shift()) {
          for (const name of want.names) {
            asked++;
            gossip.receive(link, { type: 'part', name, size: 4, at: 0, data: Buffer.from('junk') });
          }
        }
      }
      assert.ok(asked > 0 && asked <= 2 * (MAX_SECTIONS + 500), `${asked} of 40,000 were asked for`);
      gossip.dispose();
    });

    it('cannot date them so far ahead that nothing ever replaces them', () => {
      const node = testNode(clock);
      const mallory = testPeer();
      const offer = (time: number) => {
        const fields = section(mallory, { time, incarnation: time, shares: [share()] });
        return node.store.offer(signSection(fields, mallory.identity, Buffer.from(mallory.device)).bytes);
      };
      for (const time of [Number.MAX_SAFE_INTEGER, clock.wallTime() + SECTION_LIFETIME + 1000])
        assert.equal(offer(time).kind, 'refused');
      // Clocks differ, and nobody is to vanish for that.
      assert.equal(offer(clock.wallTime() + 24 * 60 * MINUTE).kind, 'new');
    });

    it('may use the largest numbers that there are, and they come back as they were', () => {
      const node = testNode(clock);
      const mallory = testPeer();
      const huge = share({
        size: Number.MAX_SAFE_INTEGER,
        files: Number.MAX_SAFE_INTEGER,
        version: Number.MAX_SAFE_INTEGER,
        time: Number.MAX_SAFE_INTEGER,
      });
      const signed = signSection(
        section(mallory, {
          incarnation: Number.MAX_SAFE_INTEGER,
          sequence: Number.MAX_SAFE_INTEGER,
          shares: [huge],
          time: clock.wallTime(),
        }),
        mallory.identity,
        Buffer.from(mallory.device),
      );
      assert.equal(node.store.offer(signed.bytes).kind, 'new');
      assert.deepEqual(node.store.catalogues()[0]?.shares, [huge]);
      // One more cannot be written, and what is written by hand is refused.
      const beyond = signed.bytes.toString('latin1').replace('4:sizei9007199254740991e', '4:sizei9007199254740992e');
      assert.equal(node.store.offer(Buffer.from(beyond, 'latin1')).kind, 'refused');
      assert.throws(() => encode(Number.MAX_SAFE_INTEGER + 1));
    });
  });
});

function invented(): SectionHead {
  const device: DeviceId = deviceIdFromHash(createHash('sha256').update(randomBytes(8)).digest());
  const instance = parsePeerInstance(randomBytes(8).toString('hex'));
  return { device, instance, audience: '', incarnation: 1, sequence: 1, digest: randomBytes(8).toString('hex') };
}
