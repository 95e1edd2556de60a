/** What admins may say, and that all who heard the same settle on the same. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { sha256 } from '../../../../src/bittorrent/merkle.ts';
import { type DeviceId, deviceIdFromHash, networkIdFromBytes } from '../../../../src/common/ids.ts';
import { MAY_ADMIN, MAY_INVITE, readMember, signMember } from '../../../../src/peer/trust/certificates.ts';
import { parseInvite } from '../../../../src/peer/trust/invite.ts';
import { NetworkTrust } from '../../../../src/peer/trust/membership.ts';
import { type NetworkSettings, signSettings } from '../../../../src/peer/trust/network-settings.ts';
import { type RevocationTarget, signRevocation } from '../../../../src/peer/trust/revocation.ts';
import { encodeStatements } from '../../../../src/peer/trust/statement-set.ts';
import { MAX_BY_MEMBER, type Signer, Statements } from '../../../../src/peer/trust/statements.ts';
import { parseTrust } from '../../../../src/peer/trust/trust-state.ts';
import { createIdentity, type Identity } from '../../../../src/transport/identity.ts';
import { VirtualClock } from '../../../sim/virtual-clock.ts';
import { advance } from '../network/support.ts';
import { admit, DAY, meet, type Person, World } from './support.ts';

/** One hears all that the other knows, as over a control connection. */
function tell(from: Person, to: Person): DeviceId[] {
  return to.trust.applyRevocations(from.trust.revocationsBytes());
}

function makeAdmin(world: World, person: Person): void {
  world.creator.trust.makeAdmin({ device: person.identity.device, spki: person.identity.spki });
  tell(world.creator, person);
}

describe('admins', () => {
  let world: World;
  let ann: Person;
  let bob: Person;
  let eve: Person;
  beforeEach(() => {
    world = new World();
    [ann, bob, eve] = [world.join(), world.join(), world.join()];
    for (const person of [ann, bob, eve]) meet(world.creator, person);
  });

  it('are made by the creator, even while they are away, and then revoke members for all', () => {
    assert.equal(ann.trust.admin, false);
    assert.throws(() => ann.trust.revoke(eve.identity.device), { code: 'permission' });
    world.creator.trust.makeAdmin({ device: ann.identity.device, spki: ann.identity.spki });
    // From a third member.
    tell(world.creator, bob);
    tell(bob, ann);
    assert.ok(ann.trust.admin && bob.trust.isAdmin(ann.identity.device) && !ann.trust.creator);
    ann.trust.revoke(eve.identity.device);
    assert.deepEqual(tell(ann, bob), [eve.identity.device]);
    assert.deepEqual(tell(bob, world.creator), [eve.identity.device]);
    for (const person of [ann, bob, world.creator, world.restart(bob)]) {
      assert.throws(() => admit(person, eve), { code: 'revoked' });
    }
    assert.equal(bob.trust.revocationHead, world.creator.trust.revocationHead);
  });

  it('take with a member the invite by which it came, also when the creator certified it', () => {
    const invite = world.invite(7 * DAY);
    const mallory = world.join(invite);
    meet(world.creator, mallory);
    makeAdmin(world, ann);
    meet(ann, mallory);
    ann.trust.revoke(mallory.identity.device);
    tell(ann, bob);
    assert.throws(() => admit(bob, world.join(invite)), { code: 'revoked' });
  });

  it('cannot remove the creator, nor each other', () => {
    makeAdmin(world, ann);
    makeAdmin(world, bob);
    tell(world.creator, ann);
    for (const { identity } of [world.creator, bob]) {
      assert.throws(() => ann.trust.revoke(identity.device), { code: 'permission' });
    }
    // Even when one signs it.
    const certificate = signMember(
      world.creator.trust.network,
      { ...{ spki: ann.identity.spki, rights: MAY_INVITE | MAY_ADMIN, date: 1 }, inviter: undefined },
      world.root.sign,
    );
    const forged = [bob, world.creator].map(({ identity }) => ({
      device: ann.identity.device,
      revocation: signRevocation(
        world.creator.trust.network,
        { kind: 'device', device: identity.device },
        1,
        ann.identity.sign,
      ),
    }));
    const set = { byRoot: [], byDevice: forged, settings: [], certificates: [] };
    const certificates = [{ member: readMember(certificate), signed: certificate }];
    assert.deepEqual(bob.trust.applyRevocations(encodeStatements({ ...set, certificates })), []);
    assert.ok(!bob.trust.isRevoked(world.creator.identity.device) && !bob.trust.isRevoked(bob.identity.device));
  });

  it('count for nothing once the creator revoked them, but for what it signs again', () => {
    makeAdmin(world, ann);
    ann.trust.revoke(eve.identity.device);
    ann.trust.rename('renamed');
    tell(ann, world.creator);
    world.clock.advance(2 * DAY);
    assert.deepEqual(world.creator.trust.revoke(ann.identity.device), []);
    // After that, in a partition.
    ann.trust.revoke(bob.identity.device);
    ann.trust.rename('hijacked');
    for (const order of [
      [ann, world.creator],
      [world.creator, ann],
    ]) {
      const member = world.join();
      for (const from of order) tell(from, member);
      const { trust } = member;
      assert.ok(trust.isRevoked(eve.identity.device) && trust.isRevoked(ann.identity.device));
      assert.ok(!trust.isRevoked(bob.identity.device));
      assert.equal(trust.name, 'renamed');
      assert.equal(trust.revocationHead, world.creator.trust.revocationHead);
    }
    tell(world.creator, ann);
    assert.throws(() => ann.trust.rename('again'), { code: 'permission' });
  });

  describe('who turn out to be rogues', () => {
    /** Ann evicted Bob long ago and for good reasons; then Eve, today, with the date of a year ago. */
    function goRogue(): void {
      makeAdmin(world, ann);
      ann.trust.revoke(bob.identity.device);
      ann.trust.rename('by a good one');
      tell(ann, world.creator);
      world.clock.advance(2 * DAY);
      say({ kind: 'device', device: eve.identity.device }, -365 * DAY);
    }

    /** Whatever `revoke` of her own program would let her do. */
    function say(target: RevocationTarget, when = 0): void {
      const { network } = world.creator.trust;
      const revocation = signRevocation(network, target, world.clock.wallTime() + when, ann.identity.sign);
      const byDevice = [{ device: ann.identity.device, revocation }];
      world.creator.trust.applyRevocations(encodeStatements({ byRoot: [], byDevice, settings: [], certificates: [] }));
    }

    function setAll(change: Partial<NetworkSettings>): Buffer {
      const fields = { sequence: 9, generation: 0, date: 1, name: 'x', trackers: [], ...change };
      const settings = signSettings(world.creator.trust.network, fields, ann.identity.sign);
      const all = [{ device: ann.identity.device, settings }];
      return encodeStatements({ byRoot: [], byDevice: [], settings: all, certificates: [] });
    }

    it('keep out nobody whom they removed of late, whatever date they gave it, also for who heard of it', () => {
      goRogue();
      const carl = world.join();
      meet(world.creator, carl);
      tell(world.creator, carl);
      assert.throws(() => admit(carl, eve), { code: 'revoked' });
      assert.deepEqual(world.creator.trust.removalOf(eve.identity.device)?.by, ann.identity.device);
      // Also after a restart: when it was heard of is stored.
      const creator = world.restart(world.creator);
      assert.deepEqual(creator.trust.revoke(ann.identity.device), [eve.identity.device]);
      tell(creator, carl);
      admit(carl, eve);
      for (const person of [creator, carl]) {
        assert.ok(person.trust.isRevoked(ann.identity.device) && person.trust.isRevoked(bob.identity.device));
        assert.equal(person.trust.name, 'by a good one');
      }
      // What comes late from the rogue, or from who was away, changes nothing.
      tell(world.creator, carl);
      admit(carl, eve);
      assert.equal(carl.trust.revocationHead, creator.trust.revocationHead);
    });

    it('keep what they said, or nothing of it, as the creator wants', () => {
      goRogue();
      const [all, nothing] = [world.restart(world.creator), world.restart(world.creator)];
      assert.deepEqual(nothing.trust.revoke(ann.identity.device, 'nothing'), []);
      assert.ok(nothing.trust.isRevoked(eve.identity.device) && nothing.trust.isRevoked(bob.identity.device));
      const back = all.trust.revoke(ann.identity.device, 'all');
      assert.deepEqual(new Set(back), new Set([eve.identity.device, bob.identity.device]));
      assert.equal(all.trust.name, 'team');
      // What was undone can be said again.
      all.trust.revoke(eve.identity.device);
      assert.ok(all.trust.isRevoked(eve.identity.device));
    });

    it('let nobody back by dating anew whom they removed long ago, nor throw out by it who came by an invite', () => {
      goRogue();
      const invite = world.invite(30 * DAY);
      const target = { kind: 'invite', invite: parseInvite(invite).proof.invite.id } as const;
      const early = world.join(invite);
      const carl = world.join();
      meet(world.creator, carl);
      meet(carl, early);
      world.clock.advance(DAY);
      say(target);
      world.clock.advance(2 * DAY);
      say(target, -300 * DAY);
      say({ kind: 'device', device: bob.identity.device }, -300 * DAY);
      world.creator.trust.revoke(ann.identity.device);
      tell(world.creator, carl);
      assert.ok(carl.trust.isRevoked(bob.identity.device));
      // Confirmed before the invite was withdrawn, by the date that this had when it was heard of.
      admit(carl, early);
      assert.throws(() => admit(carl, world.join(invite)), { code: 'revoked' });
    });

    it('hijack name and trackers for no longer than they are admins', () => {
      goRogue();
      world.creator.trust.applyRevocations(setAll({ name: 'hijacked' }));
      assert.equal(world.creator.trust.name, 'hijacked');
      world.creator.trust.revoke(ann.identity.device);
      assert.notEqual(world.creator.trust.name, 'hijacked');
    });

    for (const [what, generation] of [
      ['by using up the numbers', 0],
      ['by beginning anew with them', Number.MAX_SAFE_INTEGER],
    ] as const)
      it(`have not the last word on name and trackers ${what}`, () => {
        makeAdmin(world, ann);
        tell(world.creator, eve);
        for (const person of [world.creator, eve])
          person.trust.applyRevocations(setAll({ sequence: Number.MAX_SAFE_INTEGER, generation, name: 'hijacked' }));
        world.creator.trust.rename('ours');
        tell(world.creator, eve);
        assert.equal(eve.trust.name, 'ours');
        world.creator.trust.revoke(ann.identity.device, 'nothing');
        world.creator.trust.rename('still ours');
        tell(world.creator, eve);
        assert.equal(eve.trust.name, 'still ours');
      });
  });

  it('set name and trackers for all, and so does the creator; others do not', () => {
    makeAdmin(world, ann);
    assert.throws(() => bob.trust.setTrackers([]), { code: 'permission' });
    assert.throws(() => bob.trust.rename('x'), { code: 'permission' });
    assert.throws(() => ann.trust.rename(' \u202e '), { code: 'usage' });
    ann.trust.setTrackers(['http://one.test/announce']);
    tell(ann, bob);
    assert.deepEqual(bob.trust.trackers, ['http://one.test/announce']);
    tell(bob, world.creator);
    world.creator.trust.rename('other');
    tell(world.creator, bob);
    assert.deepEqual([bob.trust.name, bob.trust.trackers], ['other', ['http://one.test/announce']]);
    // An older set takes nothing back, and a restart nothing away.
    tell(ann, bob);
    assert.equal(world.restart(bob).trust.name, 'other');
    // Newcomers hear it from the invite already.
    assert.equal(world.join().trust.name, 'other');
  });

  it('settle on one setting when two change it at once', () => {
    makeAdmin(world, ann);
    ann.trust.rename('by ann');
    world.creator.trust.rename('by creator');
    tell(ann, bob);
    tell(world.creator, bob);
    tell(world.creator, eve);
    tell(ann, eve);
    assert.equal(bob.trust.name, eve.trust.name);
    assert.equal(bob.trust.revocationHead, eve.trust.revocationHead);
  });

  it('are no members by force: the statements of a certified member alone are refused', () => {
    const signed = signMember(
      world.creator.trust.network,
      { spki: eve.identity.spki, rights: MAY_INVITE, date: 1, inviter: ann.identity.device },
      world.root.sign,
    );
    const { network } = world.creator.trust;
    const target = { kind: 'device', device: bob.identity.device } as const;
    const byDevice = [
      { device: eve.identity.device, revocation: signRevocation(network, target, 1, eve.identity.sign) },
    ];
    const settings = [
      {
        device: eve.identity.device,
        settings: signSettings(
          network,
          { sequence: 9, generation: 0, date: 1, name: 'x', trackers: [] },
          eve.identity.sign,
        ),
      },
    ];
    const none = { byRoot: [], byDevice: [], settings: [], certificates: [{ member: readMember(signed), signed }] };
    for (const set of [
      { ...none, byDevice },
      { ...none, settings },
      { ...none, byDevice, certificates: [] },
      { ...none, settings: settings.map(({ settings }) => ({ device: undefined, settings })) },
    ]) {
      assert.throws(() => bob.trust.applyRevocations(encodeStatements(set)), { code: 'not-admitted' });
    }
    assert.equal(bob.trust.name, 'team');
  });
});

describe('an invite', () => {
  it('is withdrawn by the member who made it, for all, and by nobody else of its rank', () => {
    const world = new World();
    const [ann, bob] = [world.join(), world.join()];
    for (const person of [ann, bob]) meet(world.creator, person);
    const invite = world.invite(7 * DAY, ann);
    const [early, late] = [world.join(invite), world.join(invite)];
    meet(bob, early);
    const [info] = ann.trust.invites();
    assert.ok(info?.text === invite);
    assert.throws(() => bob.trust.withdrawInvite(invite), { code: 'permission' });
    world.clock.advance(DAY);
    ann.trust.withdrawInvite(info.id);
    tell(ann, bob);
    assert.throws(() => admit(bob, late), { code: 'revoked' });
    // Who was let in before stays.
    admit(bob, early);
    assert.deepEqual(
      bob.trust.invites().map(({ id }) => id),
      [info.id],
    );
    // And its code is stored no longer.
    assert.ok(!ann.trust.serialize().includes(invite));
  });

  it('of another is not withdrawn by a member that signs so', () => {
    const world = new World();
    const [ann, bob] = [world.join(), world.join()];
    for (const person of [ann, bob]) meet(world.creator, person);
    const invite = world.invite(7 * DAY, ann);
    const [info] = ann.trust.invites();
    assert.ok(info);
    const last = signMember(
      world.creator.trust.network,
      { spki: bob.identity.spki, rights: MAY_INVITE, date: 1, inviter: undefined },
      world.root.sign,
    );
    const target = { kind: 'invite', invite: info.id } as const;
    const revocation = signRevocation(world.creator.trust.network, target, 1, bob.identity.sign);
    const certificates = [{ member: readMember(last), signed: last }];
    const byDevice = [{ device: bob.identity.device, revocation }];
    ann.trust.applyRevocations(encodeStatements({ byRoot: [], byDevice, settings: [], certificates }));
    admit(ann, world.join(invite));
  });
});

describe('a member who is removed', () => {
  it('has withdrawn no invites of others, though the creator signs again what it said', () => {
    const world = new World();
    const [ann, bob] = [world.join(), world.join()];
    for (const person of [ann, bob]) meet(world.creator, person);
    const [others, own] = [world.invite(7 * DAY, ann), world.invite(7 * DAY, bob)];
    const [early, leaked] = [world.join(others), world.join(own)];
    // The creator has seen both invites.
    meet(world.creator, early);
    meet(world.creator, leaked);
    const last = signMember(
      world.creator.trust.network,
      { spki: bob.identity.spki, rights: MAY_INVITE, date: 1, inviter: undefined },
      world.root.sign,
    );
    const byDevice = [others, own].map((invite) => {
      const target = { kind: 'invite', invite: parseInvite(invite).proof.invite.id } as const;
      const revocation = signRevocation(world.creator.trust.network, target, 1, bob.identity.sign);
      return { device: bob.identity.device, revocation };
    });
    const certificates = [{ member: readMember(last), signed: last }];
    world.creator.trust.applyRevocations(encodeStatements({ byRoot: [], byDevice, settings: [], certificates }));
    world.creator.trust.revoke(bob.identity.device);
    const carl = world.join();
    tell(world.creator, carl);
    admit(carl, world.join(others));
    assert.throws(() => admit(carl, world.join(own)), { code: 'revoked' });
  });
});

describe('memberships stored by an earlier version', () => {
  it('are read: without invites, and with revocations by the root key alone', () => {
    const world = new World();
    const ann = world.join();
    world.creator.trust.revoke(ann.identity.device);
    const { invites, ...stored } = JSON.parse(world.creator.trust.serialize()) as Record<string, unknown>;
    assert.ok(Array.isArray(invites));
    const text = JSON.stringify(stored);
    assert.deepEqual(parseTrust(text).invites, []);
    const again = NetworkTrust.load(world.creator.identity, text, { clock: world.clock });
    assert.ok(again.isRevoked(ann.identity.device) && again.creator && again.admin);
  });
});

describe('statements merged in any order', () => {
  const root = createIdentity();
  const network = networkIdFromBytes(sha256(root.spki));
  const people = Array.from({ length: 4 }, () => createIdentity());
  const [creator, first, second, maker] = people as [Identity, Identity, Identity, Identity];
  const strangers = [1, 2, 3].map((seed) => deviceIdFromHash(Buffer.alloc(32, seed)));
  const targets = [...strangers, ...people.map(({ device }) => device)];
  const invite = 'ab'.repeat(32);

  const certified = ({ spki, sign }: Identity, rights: number, inviter: DeviceId | undefined): Signer & object => {
    const signed = signMember(network, { spki, rights, date: 1, inviter }, root.sign);
    return { sign, member: readMember(signed), signed };
  };
  const admins = [
    certified(creator, MAY_INVITE | MAY_ADMIN, undefined),
    certified(first, MAY_INVITE | MAY_ADMIN, creator.device),
    certified(second, MAY_INVITE | MAY_ADMIN, creator.device),
  ];
  const signers: Record<string, Signer> = {
    root: { root: root.sign },
    first: admins[1] as Signer,
    second: admins[2] as Signer,
    maker: certified(maker, MAY_INVITE, creator.device),
  };

  /** A set as one peer may have it: what it was told, in its own order. */
  const set = fc
    .array(
      fc.record({
        by: fc.constantFrom('root', 'first', 'second', 'maker'),
        what: fc.constantFrom('device', 'invite', 'settings'),
        target: fc.nat(targets.length - 1),
        date: fc.integer({ min: 1, max: 3 }),
      }),
      { maxLength: 6 },
    )
    .map((says) => {
      const statements = new Statements(network, root.spki);
      for (const admin of admins) if ('member' in admin) statements.certify(admin);
      for (const { by, what, target, date } of says) {
        const signer = signers[by] as Signer;
        try {
          if (what === 'settings') statements.set({ name: `${by} ${date}`, trackers: [] }, date, signer);
          else if (what === 'invite') statements.revoke({ kind: 'invite', invite }, date, signer);
          else statements.revoke({ kind: 'device', device: targets[target] as DeviceId }, date, signer);
        } catch (error) {
          // What it may not say, or may say no more.
          assert.equal((error as { code?: string }).code, 'permission');
        }
      }
      return statements.encode();
    });

  it('are the same set, with the same verdicts', () => {
    fc.assert(
      fc.property(fc.array(set, { minLength: 1, maxLength: 5 }), fc.infiniteStream(fc.nat()), (sets, random) => {
        const merged = (order: readonly Buffer[]): Statements => {
          const statements = new Statements(network, root.spki);
          for (const bytes of order) statements.merge(bytes);
          return statements;
        };
        const shuffled = [...sets, ...sets]
          .map((bytes) => ({ bytes, at: random.next().value as number }))
          .sort((a, b) => a.at - b.at)
          .map(({ bytes }) => bytes);
        const [a, b] = [merged(sets), merged(shuffled)];
        const c = merged([merged(shuffled.slice(0, sets.length)).encode(), a.encode()]);
        for (const other of [b, c]) {
          assert.equal(other.head, a.head);
          assert.deepEqual(other.settings, a.settings);
          for (const device of targets) {
            assert.equal(other.isRevoked(device), a.isRevoked(device));
            assert.equal(other.isAdmin(device), a.isAdmin(device));
            assert.equal(other.dateOf({ kind: 'device', device }), a.dateOf({ kind: 'device', device }));
          }
          const target = { kind: 'invite', invite } as const;
          assert.equal(other.dateOf(target, maker.device), a.dateOf(target, maker.device));
          assert.equal(other.dateOf(target), a.dateOf(target));
        }
      }),
      { numRuns: 60 },
    );
  });

  it('are verified so often of one signer, whoever brings them, and no more', async () => {
    const clock = new VirtualClock();
    const signer = signers.maker as { signed: ReturnType<typeof signMember> };
    const certificates = [{ member: readMember(signer.signed), signed: signer.signed }];
    const statements = new Statements(network, root.spki, clock);
    // Ever earlier ones: each would push out another.
    const say = (from: number, count: number): void => {
      for (let n = from; n < from + count; n++) {
        const target = { kind: 'invite', invite: n.toString(16).padStart(64, '0') } as const;
        const byDevice = [{ device: maker.device, revocation: signRevocation(network, target, 1000 - n, maker.sign) }];
        statements.merge(encodeStatements({ byRoot: [], byDevice, settings: [], certificates }));
      }
    };
    const earliest = (): number => Math.min(...statements.revocationsBy(maker.device).map(({ date }) => date));
    say(0, 300);
    assert.equal(earliest(), 1001 - 4 * MAX_BY_MEMBER);
    // What others say is heard all the same, also in a set with more of that.
    const target = { kind: 'device', device: strangers[0] as DeviceId } as const;
    const byRoot = [signRevocation(network, target, 1, root.sign)];
    const more = signRevocation(network, { kind: 'invite', invite: 'cd'.repeat(32) }, 1, maker.sign);
    const byDevice = [{ device: maker.device, revocation: more }];
    statements.merge(encodeStatements({ byRoot, byDevice, settings: [], certificates }));
    assert.ok(statements.isRevoked(target.device));
    assert.equal(earliest(), 1001 - 4 * MAX_BY_MEMBER);
    await advance(clock, 3_600_000);
    say(400, 300);
    assert.equal(earliest(), 1001 - 400 - MAX_BY_MEMBER);
  });

  it('are bounded for each member that withdraws invites', () => {
    const statements = new Statements(network, root.spki);
    const revocations = Array.from({ length: 3 * MAX_BY_MEMBER }, (_, n) => ({
      device: maker.device,
      revocation: signRevocation(network, { kind: 'invite', invite: n.toString(16).padStart(64, '0') }, n, maker.sign),
    }));
    const signer = signers.maker as { signed: ReturnType<typeof signMember> };
    const certificates = [{ member: readMember(signer.signed), signed: signer.signed }];
    const empty = statements.encode().length;
    statements.merge(encodeStatements({ byRoot: [], byDevice: revocations, settings: [], certificates }));
    assert.equal(statements.revocationsBy(maker.device).length, MAX_BY_MEMBER);
    assert.ok(statements.encode().length < empty + 400 + 220 * MAX_BY_MEMBER);
  });
});
