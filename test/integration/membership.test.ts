/** Membership over real TLS sockets: all of these know the network's secret, and only members get a channel. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PeerwireError } from '../../src/common/errors.ts';
import type { Member } from '../../src/peer/trust/membership.ts';
import { dial } from '../../src/transport/dial.ts';
import { PeerListener } from '../../src/transport/listener.ts';
import type { NetworkAccess } from '../../src/transport/network-access.ts';
import type { SecureChannel } from '../../src/transport/secure-channel.ts';
import { admit, chainOf, DAY, joinedLink, linksOf, meet, type Person, World } from '../unit/peer/trust/support.ts';
import { Collector, type Listening, listen, newInstance, newPeer } from '../unit/transport/support.ts';

describe('membership over TLS', () => {
  let world: World;
  let listening: Listening<Member>;
  const channels: SecureChannel<Member>[] = [];

  beforeEach(async () => {
    world = new World();
    const { identity, trust } = world.creator;
    listening = await listen([trust], { peer: newPeer(identity) });
  });

  afterEach(() => {
    listening.listener.dispose();
    for (const channel of [...channels.splice(0), ...listening.channels]) channel.close();
  });

  async function dialAs(
    { identity, trust }: Person,
    changes: Partial<NetworkAccess<Member>> = {},
  ): Promise<SecureChannel<Member>> {
    const access: NetworkAccess<Member> = {
      network: trust.network,
      secret: trust.secret,
      credentials: () => trust.credentials(),
      isRevoked: (device) => trust.isRevoked(device),
      admit: (...args) => trust.admit(...args),
      acceptCountersignature: (bytes) => trust.acceptCountersignature(bytes),
      ...changes,
    };
    const { port } = listening.listener;
    const channel = await dial({ host: '127.0.0.1', port, identity, instance: newInstance(), access });
    channels.push(channel);
    return channel;
  }

  /** The listener refuses with this code, emits no channel and does not show its own membership. */
  async function refused(person: Person, code: string, changes: Partial<NetworkAccess<Member>> = {}): Promise<void> {
    let judged = 0;
    const spy = {
      ...changes,
      admit: () => {
        judged++;
        throw new PeerwireError('not-admitted', 'never asked');
      },
    };
    await assert.rejects(dialAs(person, spy), { code });
    assert.equal(judged, 0, 'the responder showed its membership to a stranger');
    assert.equal(listening.channels.length, 0);
  }

  it('lets a new member in, certifies it at once, and says who it is', async () => {
    const ann = world.join();
    const channel = await dialAs(ann);
    const accepted = await listening.nextChannel();
    assert.deepEqual(accepted.member, {
      device: ann.identity.device,
      inviter: world.creator.identity.device,
      creator: false,
      date: world.clock.wallTime(),
      spki: ann.identity.spki,
      revocationHead: world.creator.trust.revocationHead,
    });
    assert.equal(channel.member.device, world.creator.identity.device);
    assert.deepEqual(
      linksOf(ann).map(({ kind }) => kind),
      ['certified'],
    );
    const collector = new Collector(accepted);
    channel.write([Buffer.from('hello')]);
    await collector.received(5);
  });

  it('confirms the responder too, when the creator dials', async () => {
    const ann = world.join();
    const atAnn = await listen([ann.trust], { peer: newPeer(ann.identity) });
    const { identity, trust } = world.creator;
    const { port } = atAnn.listener;
    channels.push(await dial({ host: '127.0.0.1', port, identity, instance: newInstance(), access: trust }));
    (await atAnn.nextChannel()).close();
    atAnn.listener.dispose();
    assert.deepEqual(
      linksOf(ann).map(({ kind }) => kind),
      ['certified'],
    );
  });

  it('refuses a membership that is not signed by this network', async () => {
    const elsewhere = new World().join();
    const eve = world.join();
    await refused(eve, 'not-admitted', { credentials: () => elsewhere.trust.credentials() });
    await refused(eve, 'not-admitted', { credentials: () => Buffer.alloc(0) });
    await refused(eve, 'not-admitted', { credentials: () => randomBytes(500) });
    const link = joinedLink(eve);
    const signature = randomBytes(64);
    await refused(eve, 'not-admitted', { credentials: () => chainOf({ ...link, join: { ...link.join, signature } }) });
  });

  it('refuses the membership of another device', async () => {
    const [ann, eve] = [world.join(), world.join()];
    meet(world.creator, ann);
    await refused(eve, 'not-admitted', { credentials: () => ann.trust.credentials() });
    await refused(eve, 'not-admitted', { credentials: () => world.creator.trust.credentials() });
  });

  it('refuses one who was evicted', async () => {
    const ann = world.join();
    meet(world.creator, ann);
    world.creator.trust.revoke(ann.identity.device);
    await refused(ann, 'revoked');
  });

  it('is refused by members who were told, when an evicted one listens', async () => {
    const ann = world.join();
    const bob = world.join();
    meet(world.creator, bob);
    const atBob = await listen([bob.trust], { peer: newPeer(bob.identity) });
    world.creator.trust.revoke(bob.identity.device);
    ann.trust.applyRevocations(world.creator.trust.revocationsBytes());
    const { identity, trust } = ann;
    const { port } = atBob.listener;
    await assert.rejects(dial({ host: '127.0.0.1', port, identity, instance: newInstance(), access: trust }), {
      code: 'revoked',
    });
    assert.equal(atBob.channels.length, 0);
    atBob.listener.dispose();
  });

  it('refuses whom nobody confirmed before the invite expired, and lets others in', async () => {
    const invite = world.invite(DAY);
    const [early, late] = [world.join(invite), world.join(invite)];
    await dialAs(early);
    (await listening.nextChannel()).close();
    listening.channels.length = 0;
    world.clock.advance(2 * DAY);
    await refused(late, 'expired');
    await dialAs(early);
    assert.equal((await listening.nextChannel()).device, early.identity.device);
  });

  it('lets one in after the expiry whom another member confirmed', async () => {
    const invite = world.invite(DAY);
    const [ann, bob] = [world.join(), world.join(invite)];
    meet(world.creator, ann);
    meet(ann, bob);
    world.clock.advance(2 * DAY);
    await dialAs(bob);
    assert.equal((await listening.nextChannel()).device, bob.identity.device);
    assert.equal(admit(ann, bob).countersignature, undefined, 'and certified it on the way');
  });

  it('refuses who came by an invite that was withdrawn', async () => {
    const invite = world.invite();
    world.creator.trust.withdrawInvite(invite);
    await refused(world.join(invite), 'revoked');
  });

  it('puts no secret into errors or logs', async () => {
    const told: string[] = [];
    const log = (message: string): void => void told.push(message);
    const { identity, trust } = world.creator;
    const logging = await PeerListener.listen({
      ...newPeer(identity),
      host: '127.0.0.1',
      port: 0,
      networks: () => [trust],
      logger: { debug: log, info: log, warn: log, error: log },
    });
    const invite = world.invite(1000);
    const late = world.join(invite);
    world.clock.advance(DAY);
    const { port } = logging;
    const own = { host: '127.0.0.1', port, identity: late.identity, instance: newInstance() };
    const error: unknown = await dial({ ...own, access: late.trust }).catch((reason: unknown) => reason);
    assert.ok(error instanceof Error);
    told.push(`${error.stack} ${error.cause}`);
    while (!told.some((line) => line.startsWith('refused'))) await new Promise((resolve) => setImmediate(resolve));
    logging.dispose();
    const all = told.join('\n');
    const keys = [identity.keyPem, late.identity.keyPem].flatMap((pem) => pem.split('\n').slice(1, -2));
    const secrets = [trust.secret.toString('hex'), trust.secret.toString('base64'), invite.slice(-40), ...keys];
    for (const secret of secrets) assert.ok(!all.includes(secret));
  });
});
