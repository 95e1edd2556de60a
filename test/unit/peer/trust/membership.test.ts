import assert from 'node:assert/strict';
import {
  MAY_INVITE,
  readInvite,
  readMember,
  signCountersignature,
  signInvite,
  signJoin,
  signMember,
} from '../../../../src/peer/trust/certificates.ts';
import { type JoinedLink, MAX_LINKS } from '../../../../src/peer/trust/credentials.ts';
import { parseInvite } from '../../../../src/peer/trust/invite.ts';
import { createInviteKey } from '../../../../src/peer/trust/invite-key.ts';
import { NetworkTrust } from '../../../../src/peer/trust/membership.ts';
import { type Signed, signBody, verifySigned } from '../../../../src/peer/trust/signed.ts';
import { createIdentity, type Identity } from '../../../../src/transport/identity.ts';
import { MAX_CREDENTIALS } from '../../../../src/transport/member-handshake.ts';
import { admit, chainOf, DAY, joinedLink, linksOf, MINUTE, meet, type Person, World } from './support.ts';

describe('membership', () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });

  describe('of the creator', () => {
    it('is signed by the root key, and needs nobody', () => {
      const member = world.join();
      assert.deepEqual(admit(member, world.creator), {
        member: {
          device: world.creator.identity.device,
          inviter: undefined,
          creator: true,
          date: world.clock.wallTime(),
          spki: world.creator.identity.spki,
          revocationHead: world.creator.trust.revocationHead,
        },
      });
      world.clock.advance(1000 * DAY);
      assert.equal(admit(member, world.creator).member.inviter, undefined);
      assert.ok(world.creator.trust.creator && world.creator.trust.mayInvite);
    });
  });

  describe('by an invite', () => {
    it('works offline, and says who invited', () => {
      const [ann, bob] = [world.join(), world.join()];
      assert.equal(admit(ann, bob).member.inviter, world.creator.identity.device);
      assert.equal(bob.trust.name, 'team');
      assert.equal(bob.trust.creator, false);
    });

    it('is refused after the invite has expired, unless a member confirmed it in time', () => {
      const invite = world.invite(7 * DAY);
      const [early, late, ann] = [world.join(invite), world.join(invite), world.join(invite)];
      meet(world.creator, ann);
      meet(ann, early);
      world.clock.advance(8 * DAY);
      assert.throws(() => admit(ann, late), { code: 'expired' });
      assert.throws(() => admit(world.creator, late), { code: 'expired' });
      assert.equal(admit(world.creator, early).member.device, early.identity.device);
      assert.equal(admit(world.join(), early).member.device, early.identity.device);
    });

    it('tolerates clocks that differ by five minutes, and not by more', () => {
      const ann = world.join(world.invite(7 * DAY));
      world.clock.advance(7 * DAY + 5 * MINUTE);
      admit(world.creator, ann);
      const bob = world.join(world.invite(7 * DAY));
      world.clock.advance(7 * DAY + 5 * MINUTE + 1);
      assert.throws(() => admit(world.creator, bob), { code: 'expired' });
    });

    it('tolerates no more than a tenth of a short invite', () => {
      const invite = world.invite(10_000);
      const [ann, bob] = [world.join(invite), world.join(invite)];
      world.clock.advance(11_000);
      admit(world.creator, ann);
      world.clock.advance(1);
      assert.throws(() => admit(world.creator, bob), { code: 'expired' });
    });

    it('cannot be had from an expired invite', () => {
      const invite = world.invite(1000);
      world.clock.advance(1001);
      assert.throws(() => world.join(invite), { code: 'expired' });
    });

    it('is renewed by a fresh invite after it was refused', () => {
      const ann = world.join(world.invite(DAY));
      world.clock.advance(2 * DAY);
      assert.throws(() => admit(world.creator, ann), { code: 'expired' });
      assert.equal(ann.trust.renew(world.invite()), true);
      meet(world.creator, ann);
      assert.equal(ann.trust.renew(world.invite()), false, 'certified is better');
      assert.throws(() => ann.trust.renew(new World().invite()), { code: 'usage' });
      assert.throws(() => ann.trust.renew(world.invite().slice(0, -5)), { code: 'invalid-invite' });
    });
  });

  describe('countersigned', () => {
    it('by the creator is a certificate that lasts', () => {
      const ann = world.join(world.invite(DAY));
      meet(world.creator, ann);
      assert.deepEqual(
        linksOf(ann).map(({ kind }) => kind),
        ['certified'],
      );
      world.clock.advance(1000 * DAY);
      const bob = world.join();
      assert.equal(admit(bob, ann).member.inviter, world.creator.identity.device);
      assert.equal(admit(world.creator, ann).countersignature, undefined, 'there is nothing better');
    });

    it('by a member shows the chain to the root key', () => {
      const invite = world.invite(DAY);
      const [ann, bob, eve] = [world.join(invite), world.join(invite), world.join(invite)];
      meet(world.creator, ann);
      meet(ann, bob);
      meet(bob, eve);
      assert.deepEqual(
        linksOf(eve).map(({ kind }) => kind),
        ['certified', 'joined', 'joined'],
      );
      world.clock.advance(2 * DAY);
      admit(world.join(), eve);
      admit(world.creator, eve);
    });

    it('gets a shorter chain from whoever has one', () => {
      const invite = world.invite(DAY);
      const [ann, bob, eve] = [world.join(invite), world.join(invite), world.join(invite)];
      meet(world.creator, ann);
      meet(ann, bob);
      meet(bob, eve);
      world.clock.advance(2 * DAY);
      // Even after the expiry: what is confirmed is the date of then.
      meet(ann, eve);
      assert.equal(linksOf(eve).length, 2);
      meet(world.creator, eve);
      assert.equal(linksOf(eve).length, 1);
      meet(bob, eve);
      assert.equal(linksOf(eve).length, 1, 'and keeps it');
    });

    it('never by a longer chain than fits into a message', () => {
      // Each by an invite of its own, with the longest name: the largest chain there is.
      const members: Person[] = [];
      for (let index = 0; index < 12; index++) {
        const invite = world.creator.trust.createInvite({ inviterName: 'é'.repeat(100) });
        members.push(world.join(invite));
      }
      meet(world.creator, members[0]!);
      for (let index = 1; index < members.length; index++) meet(members[index - 1]!, members[index]!);
      const longest = Math.max(...members.map((member) => member.trust.credentials().length));
      assert.ok(longest <= MAX_CREDENTIALS && longest > MAX_CREDENTIALS / 2, `${longest} bytes`);
    });

    it('by members who met in time without the creator holds between them for good', () => {
      const invite = world.invite(DAY);
      let [ann, bob] = [world.join(invite), world.join(invite)];
      meet(ann, bob);
      world.clock.advance(2 * DAY);
      [ann, bob] = [world.restart(ann), world.restart(bob)];
      meet(ann, bob);
      // Others have nothing but their word.
      assert.throws(() => admit(world.creator, ann), { code: 'expired' });
      assert.throws(() => admit(world.join(), bob), { code: 'expired' });
    });

    it('through one who met both in time', () => {
      const invite = world.invite(DAY);
      const [ann, bob, eve] = [world.join(invite), world.join(invite), world.join(invite)];
      meet(ann, bob);
      meet(bob, eve);
      world.clock.advance(2 * DAY);
      // Ann never met Eve, but remembers Bob, who vouches for her.
      assert.equal(admit(ann, eve).member.device, eve.identity.device);
    });

    it('later by a member that became certified and remembers', () => {
      const invite = world.invite(DAY);
      const [ann, bob] = [world.join(invite), world.join(invite)];
      meet(ann, bob);
      meet(world.creator, ann);
      world.clock.advance(2 * DAY);
      meet(ann, bob);
      assert.equal(admit(world.creator, bob).member.device, bob.identity.device);
    });
  });

  describe('forged', () => {
    /** A member that whoever has `invite` signs in. */
    function signedIn(invite: string): { person: Person; link: JoinedLink } {
      const person = world.join(invite);
      return { person, link: joinedLink(person) };
    }

    function countersign(by: Person, link: JoinedLink, device: Person, date: number): JoinedLink {
      const about = { device: device.identity.device, invite: link.proof.invite.id, date };
      return { ...link, countersignature: signCountersignature(world.creator.trust.network, about, by.identity.sign) };
    }

    it('by two devices of an expired invite that vouch for each other with a false date', () => {
      const invite = world.invite(DAY);
      const [one, two] = [signedIn(invite), signedIn(invite)];
      const inTime = world.clock.wallTime();
      world.clock.advance(2 * DAY);
      const first = countersign(two.person, one.link, one.person, inTime);
      const second = countersign(one.person, two.link, two.person, inTime);
      for (const chain of [
        chainOf(one.link, second),
        chainOf(first, second),
        chainOf(two.link, first, second),
        chainOf(first, second, first, second),
      ]) {
        assert.throws(() => admit(world.creator, two.person, chain), { code: 'expired' });
      }
      assert.throws(() => admit(world.creator, one.person, chainOf(one.link)), { code: 'expired' });
    });

    it('by a countersignature of oneself', () => {
      const { person, link } = signedIn(world.invite(DAY));
      const inTime = world.clock.wallTime();
      world.clock.advance(2 * DAY);
      const own = countersign(person, link, person, inTime);
      assert.throws(() => admit(world.creator, person, chainOf(own)), { code: 'expired' });
      assert.throws(() => admit(world.creator, person, chainOf(own, own)), { code: 'expired' });
    });

    it('by a countersignature with a date after the expiry, or before the invite was made', () => {
      const { person, link } = signedIn(world.invite(DAY));
      const ann = world.join();
      meet(world.creator, ann);
      const [certified] = linksOf(ann);
      world.clock.advance(2 * DAY);
      const at = (date: number) => chainOf(certified!, countersign(ann, link, person, date));
      const { expires, created } = link.proof.invite;
      assert.throws(() => admit(world.creator, person, at(expires + 5 * MINUTE + 1)), { code: 'expired' });
      assert.throws(() => admit(world.creator, person, at(created - 5 * MINUTE - 1)), { code: 'expired' });
      admit(world.creator, person, at(expires + 5 * MINUTE));
    });

    it('by a countersignature for another device or another invite, or one that was changed', () => {
      const ann = world.join();
      meet(world.creator, ann);
      const [certified] = linksOf(ann);
      const [mine, other] = [signedIn(world.invite(DAY)), signedIn(world.invite(DAY))];
      const date = world.clock.wallTime();
      const forOther = countersign(ann, mine.link, other.person, date).countersignature;
      const otherInvite = countersign(ann, other.link, mine.person, date).countersignature;
      const right = countersign(ann, mine.link, mine.person, date).countersignature!;
      const changed = { ...right, body: Buffer.from(right.body) };
      changed.body[changed.body.length - 3]! ^= 1;
      world.clock.advance(2 * DAY);
      for (const countersignature of [forOther, otherInvite, changed]) {
        const chain = chainOf(certified!, { ...mine.link, countersignature });
        assert.throws(() => admit(world.creator, mine.person, chain), { code: /^(expired|not-admitted)$/ });
      }
      admit(world.creator, mine.person, chainOf(certified!, { ...mine.link, countersignature: right }));
    });

    it('by the certificate of another network', () => {
      const elsewhere = new World();
      assert.throws(() => admit(world.creator, elsewhere.creator), { code: 'not-admitted' });
      assert.throws(() => admit(world.creator, elsewhere.join()), { code: 'not-admitted' });
    });

    it('by a certificate that the member signed itself', () => {
      const ann = world.join();
      const { network } = world.creator.trust;
      const certificate = { spki: ann.identity.spki, rights: MAY_INVITE, date: 0, inviter: undefined };
      const signed = signMember(network, certificate, ann.identity.sign);
      const link = { kind: 'certified', spki: ann.identity.spki, member: readMember(signed), signed } as const;
      assert.throws(() => admit(world.creator, ann, chainOf(link)), { code: 'not-admitted' });
    });

    describe('by an invite', () => {
      /** Eve, signed in by an invite that `signer` made in the name of `inviter`, with the certificate of `issuer`. */
      function signedInBy(
        signer: Identity,
        inviter: Person,
        issuer: Signed | undefined,
      ): { eve: Person; credentials: Buffer } {
        const { network } = world.creator.trust;
        const key = createInviteKey();
        const dates = { created: world.clock.wallTime(), expires: world.clock.wallTime() + DAY };
        const names = { inviter: inviter.identity.device, inviterName: '' };
        const signed = signInvite(network, { spki: key.spki, ...names, ...dates }, signer.sign);
        const eve = world.join();
        const proof = {
          invite: readInvite(signed),
          signed,
          issuer: issuer && { member: readMember(issuer), signed: issuer },
        };
        const join = signJoin(network, eve.identity.spki, key.sign);
        const link = { kind: 'joined', spki: eve.identity.spki, countersignature: undefined, proof, join } as const;
        return { eve, credentials: chainOf(link) };
      }

      function certificate(of: Person, rights: number, signer = world.root): Signed {
        const member = { spki: of.identity.spki, rights, date: 0, inviter: undefined };
        return signMember(world.creator.trust.network, member, signer.sign);
      }

      function refused(...args: Parameters<typeof signedInBy>): void {
        const { eve, credentials } = signedInBy(...args);
        assert.throws(() => admit(world.creator, eve, credentials), { code: 'not-admitted' });
      }

      it('of a certified member is right', () => {
        const ann = world.join();
        const { eve, credentials } = signedInBy(ann.identity, ann, certificate(ann, MAY_INVITE));
        assert.equal(admit(world.creator, eve, credentials).member.inviter, ann.identity.device);
      });

      it('in the name of the root key', () => {
        const ann = world.join();
        refused(ann.identity, ann, undefined);
      });

      it('by a certificate that the inviter made itself', () => {
        const ann = world.join();
        refused(ann.identity, ann, certificate(ann, MAY_INVITE, ann.identity));
      });

      it('by a member without the right', () => {
        const ann = world.join();
        refused(ann.identity, ann, certificate(ann, 0));
        refused(ann.identity, ann, certificate(ann, ~MAY_INVITE & 0xff));
      });

      it('by a member in the name of another', () => {
        const [ann, bob] = [world.join(), world.join()];
        refused(ann.identity, bob, certificate(ann, MAY_INVITE));
        refused(ann.identity, bob, certificate(bob, MAY_INVITE));
      });

      it('by a key that has nothing to do with it', () => {
        const ann = world.join();
        refused(createIdentity(), ann, certificate(ann, MAY_INVITE));
        refused(createIdentity(), ann, undefined);
      });
    });

    it('by a signature that was made for something else', () => {
      const { network } = world.creator.trust;
      const { identity } = world.creator;
      const purposes = ['member', 'invite', 'join', 'countersign', 'revoke'] as const;
      for (const made of purposes) {
        const signed = signBody(made, network, { k: 1 }, identity.sign);
        for (const used of purposes) assert.equal(verifySigned(used, network, signed, identity.spki), used === made);
        assert.equal(verifySigned(made, new World().creator.trust.network, signed, identity.spki), false);
      }
    });

    it('by a chain of more members than anyone needs', () => {
      const [certified] = linksOf(world.creator);
      assert.ok(certified);
      const long = chainOf(...Array.from({ length: MAX_LINKS + 1 }, () => certified));
      assert.ok(long.length <= MAX_CREDENTIALS);
      assert.throws(() => admit(world.join(), world.creator, long), { code: 'not-admitted' });
      admit(world.join(), world.creator, chainOf(...Array.from({ length: MAX_LINKS }, () => certified)));
    });

    it('by showing the chain of another device', () => {
      const [ann, eve] = [world.join(), world.join()];
      meet(world.creator, ann);
      assert.throws(() => admit(world.creator, eve, ann.trust.credentials()), { code: 'not-admitted' });
      assert.throws(() => admit(world.creator, eve, world.join().trust.credentials()), { code: 'not-admitted' });
    });

    it('by a join that was signed for another device', () => {
      const [ann, eve] = [world.join(), createIdentity()];
      const link = { ...joinedLink(ann), spki: eve.spki };
      assert.throws(() => world.creator.trust.admit(eve.device, eve.spki, chainOf(link)), { code: 'not-admitted' });
    });

    it('by any change of a bit, anywhere', () => {
      const invite = world.invite(DAY);
      const [ann, bob] = [world.join(invite), world.join(invite)];
      meet(world.creator, ann);
      meet(ann, bob);
      world.clock.advance(2 * DAY);
      const good = bob.trust.credentials();
      const head = good.indexOf('1:h32:') + 6;
      for (let at = 0; at < good.length; at++) {
        // The head of the revocations is a hint, and not signed.
        if (at >= head && at < head + 32) continue;
        const changed = Buffer.from(good);
        changed[at]! ^= 1 << (at % 8);
        assert.throws(
          () => admit(world.creator, bob, changed),
          { code: /^(not-admitted|expired|revoked)$/ },
          `byte ${at}`,
        );
      }
      admit(world.creator, bob, good);
    });
  });

  describe('ended', () => {
    it('by the creator, for all who hear of it', () => {
      const [ann, bob] = [world.join(), world.join()];
      for (const member of [ann, bob]) meet(world.creator, member);
      const [atCreator, atAnn]: string[][] = [[], []];
      world.creator.trust.onRevoked((devices) => atCreator!.push(...devices));
      ann.trust.onRevoked((devices) => atAnn!.push(...devices));
      world.creator.trust.revoke(bob.identity.device);
      assert.throws(() => admit(world.creator, bob), { code: 'revoked' });
      admit(ann, bob);
      assert.notEqual(ann.trust.revocationHead, world.creator.trust.revocationHead);
      assert.deepEqual(ann.trust.applyRevocations(world.creator.trust.revocationsBytes()), [bob.identity.device]);
      assert.throws(() => admit(ann, bob), { code: 'revoked' });
      assert.ok(ann.trust.isRevoked(bob.identity.device));
      assert.equal(ann.trust.revocationHead, world.creator.trust.revocationHead);
      assert.deepEqual([atCreator, atAnn], [[bob.identity.device], [bob.identity.device]]);
      assert.throws(() => admit(world.restart(ann), bob), { code: 'revoked' });
    });

    it('only by the creator, and never of itself', () => {
      const [ann, bob] = [world.join(), world.join()];
      meet(world.creator, ann);
      assert.throws(() => ann.trust.revoke(bob.identity.device), { code: 'permission' });
      assert.throws(() => ann.trust.withdrawInvite(world.invite()), { code: 'permission' });
      assert.throws(() => world.creator.trust.revoke(world.creator.identity.device), { code: 'usage' });
    });

    it('takes the invite with it: the evicted does not come back as another device', () => {
      const invite = world.invite(7 * DAY);
      const [ann, eve] = [world.join(invite), world.join(invite)];
      meet(world.creator, ann);
      meet(world.creator, eve);
      world.creator.trust.revoke(eve.identity.device);
      assert.throws(() => admit(world.creator, world.join(invite)), { code: 'revoked' });
      admit(world.creator, ann);
    });

    it('takes the invites that it made with it', () => {
      const ann = world.join();
      meet(world.creator, ann);
      const invite = world.invite(7 * DAY, ann);
      const [early, late] = [world.join(invite), world.join(invite)];
      assert.equal(admit(world.creator, early).member.inviter, ann.identity.device);
      meet(world.creator, early);
      world.creator.trust.revoke(ann.identity.device);
      assert.throws(() => admit(world.creator, late), { code: 'revoked' });
      admit(world.creator, early);
      assert.throws(
        () =>
          world.invite(DAY, ann) &&
          ann.trust.applyRevocations(world.creator.trust.revocationsBytes()) &&
          world.invite(DAY, ann),
        {
          code: 'permission',
        },
      );
    });

    it('takes the members with it for whom nobody else vouched', () => {
      const invite = world.invite(DAY);
      const [ann, bob] = [world.join(invite), world.join(world.invite(DAY))];
      meet(world.creator, ann);
      meet(ann, bob);
      world.clock.advance(2 * DAY);
      world.creator.trust.revoke(ann.identity.device);
      // Bob may be a device that Ann made up, with a date of her choice.
      assert.throws(() => admit(world.creator, bob), { code: 'expired' });
    });

    it('by withdrawing an invite that leaked: new members are refused, confirmed ones stay', () => {
      const invite = world.invite(30 * DAY);
      const [ann, bob, eve] = [world.join(invite), world.join(invite), world.join(invite)];
      const helper = world.join();
      meet(world.creator, helper);
      meet(helper, bob);
      meet(world.creator, ann);
      world.clock.advance(DAY);
      world.creator.trust.withdrawInvite(invite);
      assert.throws(() => admit(world.creator, eve), { code: 'revoked' });
      admit(world.creator, ann);
      admit(world.creator, bob);
      // A member who has not heard of it still admits, but its word comes too late.
      world.clock.advance(DAY);
      meet(helper, eve);
      assert.throws(() => admit(world.creator, eve), { code: 'revoked' });
      assert.deepEqual(helper.trust.applyRevocations(world.creator.trust.revocationsBytes()), []);
      assert.throws(() => admit(helper, eve), { code: 'revoked' });
    });
  });

  describe('inviting others', () => {
    it('is for the creator and for members that the creator has met', () => {
      const ann = world.join();
      assert.equal(ann.trust.mayInvite, false);
      assert.throws(() => world.invite(DAY, ann), { code: 'permission' });
      meet(world.creator, ann);
      assert.equal(ann.trust.mayInvite, true);
      const bob = world.join(world.invite(DAY, ann));
      const member = world.join();
      assert.equal(admit(member, bob).member.inviter, ann.identity.device);
      meet(world.creator, bob);
      assert.equal(admit(member, bob).member.inviter, ann.identity.device);
    });

    it('for a time between nothing and a year', () => {
      for (const validFor of [0, -1, Number.NaN, 400 * DAY, Number.POSITIVE_INFINITY]) {
        assert.throws(() => world.invite(validFor), { code: 'usage' });
      }
      assert.equal(
        parseInvite(world.creator.trust.createInvite({ inviterName: 'x' })).expires,
        world.clock.wallTime() + 7 * DAY,
      );
    });
  });

  describe('stored', () => {
    it('comes back the same', () => {
      const invite = world.invite(DAY);
      const [ann, bob] = [world.join(invite), world.join(invite)];
      meet(ann, bob);
      world.creator.trust.revoke(bob.identity.device);
      ann.trust.applyRevocations(world.creator.trust.revocationsBytes());
      world.creator.trust.setTrackers(['http://tracker.test/announce', 'udp://tracker.test:6969']);
      ann.trust.applyRevocations(world.creator.trust.revocationsBytes());
      for (const person of [ann, world.creator]) {
        const again = world.restart(person);
        assert.equal(again.trust.serialize(), person.trust.serialize());
        assert.deepEqual(again.trust.trackers, person.trust.trackers);
        assert.equal(again.trust.creator, person.trust.creator);
        assert.deepEqual(again.trust.controlInfoHash, person.trust.controlInfoHash);
      }
    });

    it('is refused when it is damaged or of another device, without quoting it', () => {
      const stored = world.creator.trust.serialize();
      const secret = world.creator.trust.secret.toString('base64');
      const { device } = world.creator.identity;
      const damaged = [
        '',
        'null',
        '[]',
        stored.slice(0, -1),
        stored.replace('"v":1', '"v":2'),
        stored.replace(secret, ''),
        stored.replace('-----BEGIN', '-----BEGUN'),
        stored.replace(/"revocations":"[^"]*"/, '"revocations":"AAAA"'),
        stored.replace(/"credentials":"[^"]*"/, '"credentials":"AAAA"'),
        stored.replace(/"rootKey":"[^"]*"/, '"rootKey":"AAAA"'),
      ];
      for (const text of damaged) {
        assert.throws(
          () => NetworkTrust.load(world.creator.identity, text),
          (error: Error & { code?: string }) => {
            assert.equal(error.code, 'corrupt');
            assert.ok(!JSON.stringify([error.message, error.stack, error.cause]).includes(secret));
            return true;
          },
        );
      }
      assert.ok(device);
      assert.throws(() => NetworkTrust.load(createIdentity(), stored), { code: 'corrupt' });
    });

    it('says when it changed, and only then', () => {
      const ann = world.join();
      let changes = 0;
      ann.trust.onChanged(() => changes++);
      meet(world.creator, ann);
      assert.equal(changes, 1);
      meet(world.creator, ann);
      ann.trust.applyRevocations(world.creator.trust.revocationsBytes());
      assert.equal(changes, 1);
      world.creator.trust.setTrackers(['http://tracker.test/announce']);
      ann.trust.applyRevocations(world.creator.trust.revocationsBytes());
      assert.equal(changes, 2);
    });

    it('is taken over by the other windows of the device', () => {
      const ann = world.join();
      const window = world.restart(ann);
      const bob = world.join();
      meet(world.creator, ann);
      meet(ann, bob);
      world.creator.trust.revoke(bob.identity.device);
      ann.trust.applyRevocations(world.creator.trust.revocationsBytes());
      const revoked: string[] = [];
      window.trust.onRevoked((devices) => revoked.push(...devices));
      window.trust.absorb(ann.trust.serialize());
      assert.equal(window.trust.serialize(), ann.trust.serialize());
      assert.deepEqual(revoked, [bob.identity.device]);
      // And never made worse by a window that knows less.
      const before = ann.trust.serialize();
      ann.trust.absorb(
        world.restart({ ...ann, trust: world.join(world.invite(), ann.identity).trust }).trust.serialize(),
      );
      assert.equal(ann.trust.serialize(), before);
    });
  });

  it('admits both ways between two windows of one device', () => {
    const ann = world.join();
    const window = world.restart(ann);
    meet(ann, window);
    assert.equal(admit(ann, window).member.device, ann.identity.device);
  });

  it('ignores countersignatures that are not for this device or do not verify', () => {
    const [ann, bob] = [world.join(), world.join()];
    const before = ann.trust.credentials();
    const forBob = admit(world.creator, bob).countersignature!;
    const forged = new World();
    const wrongRoot = forged.creator.trust.credentials();
    for (const bytes of [forBob, wrongRoot, Buffer.alloc(0), Buffer.alloc(5000), bob.trust.credentials()]) {
      ann.trust.acceptCountersignature(bytes);
    }
    assert.deepEqual(ann.trust.credentials(), before);
  });

  it('needs a network with a name, and trackers that may be asked', () => {
    const identity = createIdentity();
    assert.throws(() => NetworkTrust.createNetwork(identity, ' \u202e\n ', []), { code: 'usage' });
    assert.throws(() => NetworkTrust.createNetwork(identity, 'x', ['file:///etc/passwd']), { code: 'unsupported' });
    assert.equal(NetworkTrust.createNetwork(identity, ' a\u202eb\n ', []).name, 'a b');
    assert.throws(
      () => world.creator.trust.setTrackers(Array.from({ length: 17 }, (_, i) => `http://t${i}/announce`)),
      {
        code: 'usage',
      },
    );
  });
});
