/** A member that does over real sockets what no honest peer would, to a peer that has others to serve. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import path from 'node:path';
import { encodeHandshake, HANDSHAKE_SIZE } from '../../src/bittorrent/wire/handshake.ts';
import { encodeCatalogueMessage, encodeConnectMessage } from '../../src/peer/network/control-messages.ts';
import type { OpenPeer } from '../../src/peer/open-peer.ts';
import { LoneMember, newInstance } from './lone-member.ts';
import { shareEntry } from './network-peer.ts';
import { eventually, PeersHere, untilTransfer } from './peers-here.ts';
import { push, signed } from './raw-catalogue.ts';

const MiB = 1024 * 1024;

describe('a hostile member, over real sockets', function () {
  this.timeout(120_000);
  let peers: PeersHere;
  let victim: OpenPeer;
  let friend: OpenPeer;
  let mallory: LoneMember;

  beforeEach(async () => {
    peers = new PeersHere();
    [victim, friend] = await Promise.all([peers.open('victim'), peers.open('friend')]);
    const { invite } = await victim.createNetwork({ name: 'team', trackers: [] });
    await friend.joinNetwork(invite);
    await friend.addPeerAddress(`127.0.0.1:${(await victim.status()).port}`);
    mallory = LoneMember.join(invite);
    await eventually(friend, async () => (await friend.peers()).length === 1);
  });
  afterEach(async () => {
    mallory.dispose();
    await peers.dispose();
  });

  async function shared(name: string, size: number) {
    const source = path.join(peers.dir, name);
    writeFileSync(source, randomBytes(size));
    return await victim.share({ path: source });
  }

  /** The network still works for those who behave. */
  async function worksForFriend(): Promise<void> {
    const { name } = await shared(`${randomBytes(4).toString('hex')}.bin`, MiB);
    await eventually(friend, async () => (await friend.shares()).some((share) => share.name === name));
    const { id } = await friend.download({ share: name, destination: path.join(peers.dir, 'out'), onConflict: 'fail' });
    await untilTransfer(friend, id, ({ state }) => state === 'done');
  }

  it('gets few of many swarm connections, though all ask before the first is answered', async () => {
    const { infohash } = await shared('file.bin', MiB);
    // What it serves is opened by the first who asks, from disk.
    await peers.close(victim);
    victim = await peers.open('victim');
    const channels = await Promise.all(Array.from({ length: 50 }, () => mallory.dial(victim)));
    let answered = 0;
    let closed = 0;
    const settled = channels.map(
      (channel) =>
        new Promise<void>((resolve) => {
          let bytes = 0;
          channel.start({
            onData: (chunk) => {
              if (bytes < HANDSHAKE_SIZE && bytes + chunk.length >= HANDSHAKE_SIZE) answered++;
              bytes += chunk.length;
              if (bytes >= HANDSHAKE_SIZE) resolve();
            },
            onDrain() {},
            onClose: () => {
              closed++;
              resolve();
            },
          });
        }),
    );
    const infoHash = Buffer.from(infohash, 'hex').subarray(0, 20);
    for (const channel of channels) channel.write([encodeHandshake({ infoHash, peerId: randomBytes(20) })]);
    await Promise.all(settled);
    assert.deepEqual([answered, closed], [4, 46]);
    await worksForFriend();
  });

  it('keeps nobody from a swarm by connections of ever other devices that it invited', async () => {
    const shares = [];
    for (let i = 0; i < 16; i++) shares.push(await shared(`file-${i}.bin`, 1000));
    // The creator certifies it: from then on it may invite.
    (await mallory.dial(victim)).close();
    const devices = Array.from({ length: 9 }, () => LoneMember.join(mallory.trust.createInvite({ inviterName: 'm' })));
    try {
      let closed = 0;
      for (const device of devices) {
        for (const { infohash } of shares) {
          const infoHash = Buffer.from(infohash, 'hex').subarray(0, 20);
          // Four in each swarm, each as another window.
          const channels = await Promise.all(Array.from({ length: 4 }, () => device.dial(victim, newInstance())));
          await Promise.all(
            channels.map(
              (channel) =>
                new Promise<void>((resolve) => {
                  channel.start({
                    onData: () => resolve(),
                    onDrain() {},
                    onClose: () => {
                      closed++;
                      resolve();
                    },
                  });
                  channel.write([encodeHandshake({ infoHash, peerId: randomBytes(20) })]);
                }),
            ),
          );
        }
      }
      // 576 of them for 512 places.
      assert.ok(closed >= 64, `${closed} were closed`);
      await worksForFriend();
    } finally {
      for (const device of devices) device.dispose();
    }
  });

  it('keeps few connections that say nothing', async () => {
    let closed = 0;
    let enough = (): void => {};
    const many = new Promise<void>((resolve) => {
      enough = resolve;
    });
    const begun = performance.now();
    for (let i = 0; i < 100; i++) {
      const channel = await mallory.dial(victim);
      channel.start({
        onData() {},
        onDrain() {},
        onClose: () => {
          if (++closed === 36) enough();
        },
      });
    }
    await many;
    // By their number, not after the ten seconds that each has for its handshake.
    assert.ok(performance.now() - begun < 9000);
    await worksForFriend();
  });

  for (const [what, bytes] of [
    ['of 2^32-1 bytes', Buffer.from('ffffffff14', 'hex')],
    ['of a negative number of bytes', Buffer.from('80000000', 'hex')],
    ['that is longer than a frame', Buffer.from('0001000114', 'hex')],
    ['of an extension that ends early', Buffer.from('0000000114', 'hex')],
    ['with a bitfield of 16 MiB', Buffer.from('0100000105', 'hex')],
    ['with a block of 16 MiB', Buffer.from('010000090700000000', 'hex')],
  ] as const) {
    it(`is let go for a control message ${what}`, async () => {
      const raw = await mallory.open(victim);
      await raw.until(() => raw.wire.supports('pw_catalogue'));
      raw.channel.write([bytes]);
      await raw.closed;
      await worksForFriend();
    });
  }

  it('is let go for parts out of order, and takes nobody’s place by that', async () => {
    const name = { device: mallory.device, instance: newInstance(), audience: '' };
    for (const part of [
      { size: 100, at: 50, data: Buffer.alloc(10) },
      { size: 100, at: 0, data: Buffer.alloc(101) },
    ]) {
      const raw = await mallory.open(victim, mallory.trust.controlInfoHash, name.instance);
      await raw.until(() => raw.wire.supports('pw_catalogue'));
      raw.wire.sendExtended(
        'pw_catalogue',
        encodeCatalogueMessage({ type: 'part', name, size: 100, at: 0, data: Buffer.alloc(1) }),
      );
      const sent = performance.now();
      raw.wire.sendExtended('pw_catalogue', encodeCatalogueMessage({ type: 'part', name, ...part }));
      await raw.closed;
      assert.ok(performance.now() - sent < 12_000);
    }
    // Before its extended handshake it may say nothing.
    const early = await mallory.dial(victim);
    const begun = performance.now();
    const gone = new Promise<void>((resolve) => {
      early.start({ onData() {}, onDrain() {}, onClose: () => resolve() });
    });
    const payload = encodeConnectMessage({ type: 'dial', infohash: (await shared('x', 10)).infohash });
    const head = Buffer.alloc(6);
    head.writeUInt32BE(payload.length + 2);
    head.set([20, 3], 4);
    early.write([encodeHandshake({ infoHash: mallory.trust.controlInfoHash, peerId: randomBytes(20) }), head, payload]);
    await gone;
    // Not after the 15 s that it has for its handshakes.
    assert.ok(performance.now() - begun < 12_000);
    await worksForFriend();
  });

  it('that says it holds everything, and lists shares of others as its own, misleads nobody', async () => {
    const { infohash, share } = await shared('real.bin', 4 * MiB);
    const instance = newInstance();
    const raw = await mallory.open(friend, mallory.trust.controlInfoHash, instance, 9);
    await raw.until(() => raw.wire.supports('pw_catalogue'));
    const owner = (await victim.status()).device;
    const invented = shareEntry('ghost').infohash;
    push(
      raw,
      signed(mallory, {
        instance,
        shares: [shareEntry('real.bin', { share, infohash: invented })],
        holds: [
          { infohash, share, owner, complete: true },
          { infohash: invented, share: shareEntry('none').share, owner, complete: true },
        ],
      }),
    );
    const shares = await eventually(friend, async () => {
      const list = await friend.shares();
      return list.filter(({ name }) => name === 'real.bin').length === 2 && list;
    });
    // Its own is its own, whatever id it has, and what is held without a share is none.
    assert.deepEqual(
      shares.map(({ owner: of, infohash: hash }) => [of, hash]).sort(),
      [
        [owner, infohash],
        [mallory.device, invented],
      ].sort(),
    );
    const real = shares.find(({ owner: of }) => of === owner);
    assert.ok(real);
    raw.wire.close();
    await eventually(friend, async () => (await friend.peers()).length === 1);
    await worksForFriend();
  });

  it('makes a peer dial where it says that it listens a few times at most, with nothing but TLS', async () => {
    const { infohash } = await shared('file.bin', MiB);
    let dials = 0;
    const first = new Set<number>();
    const canary = createServer((socket) => {
      dials++;
      socket.on('error', () => {});
      socket.once('data', (data) => {
        first.add(data[0] ?? -1);
        socket.destroy();
      });
    });
    canary.listen(0, '127.0.0.1');
    await once(canary, 'listening');
    const { port } = canary.address() as AddressInfo;
    try {
      const raw = await mallory.open(victim, mallory.trust.controlInfoHash, newInstance(), port);
      await raw.until(() => raw.wire.supports('pw_connect'));
      for (let i = 0; i < 1000; i++)
        raw.wire.sendExtended('pw_connect', encodeConnectMessage({ type: 'dial', infohash }));
      await worksForFriend();
      raw.wire.close();
      await eventually(victim, async () => (await victim.peers()).length === 1);
      await worksForFriend();
      assert.ok(dials > 0 && dials <= 12, `${dials} dials`);
      assert.deepEqual([...first], [0x16]);
    } finally {
      canary.close();
    }
  });
});
