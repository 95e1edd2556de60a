import assert from 'node:assert/strict';
import { encode } from '../../../../src/bittorrent/bencode.ts';
import { sha256 } from '../../../../src/bittorrent/merkle.ts';
import { PeerwireError } from '../../../../src/common/errors.ts';
import { encodeInviteProof } from '../../../../src/peer/trust/credentials.ts';
import { encodeInvite, type Invite, parseInvite } from '../../../../src/peer/trust/invite.ts';
import { createInviteKey, loadInviteKey } from '../../../../src/peer/trust/invite-key.ts';
import { NetworkTrust } from '../../../../src/peer/trust/membership.ts';
import { createIdentity, pointOfSpki, verifySignature } from '../../../../src/transport/identity.ts';
import { DAY, World } from './support.ts';

describe('invites', () => {
  const identity = createIdentity();
  const trackers = ['http://192.168.1.5:6969/announce', 'udp://tracker.test:6969'];
  const trust = NetworkTrust.createNetwork(identity, 'Équipe 42', trackers);
  const link = trust.createInvite({ inviterName: 'ann@laptop', validFor: DAY });
  const code = link.slice(link.indexOf('PW1-'));

  it('say who invites to what, and until when', () => {
    const invite = parseInvite(link);
    assert.deepEqual(
      [invite.network, invite.networkName, invite.inviter, invite.inviterName, invite.trackers],
      [trust.network, 'Équipe 42', identity.device, 'ann@laptop', trackers],
    );
    assert.ok(invite.expires > Date.now() && invite.expires <= Date.now() + DAY);
    assert.deepEqual(invite.secret, trust.secret);
  });

  it('are a link for any editor, and a code that is safe in a URL', () => {
    assert.match(link, /^vscode:\/\/peerwire\.peerwire\/join\?code=PW1-[A-Za-z0-9_-]+$/);
    assert.ok(link.length < 1200, `${link.length} characters`);
    assert.equal(new URL(link).searchParams.get('code'), code);
  });

  const pasted: [string, string][] = [
    ['the code alone', code],
    ['spaces and line breaks around', `  \r\n${link}\n\n`],
    ['quotes', `"${link}"`],
    ['typographic quotes', `“${link}”`],
    ['angle brackets', `<${link}>`],
    ['backticks', `\`${code}\``],
    ['line breaks within, as mail programs put them', link.replaceAll(/(.{60})/g, '$1\r\n')],
    ['a byte order mark and a zero-width space', `\ufeff${code}\u200b`],
    ['the link of another editor', link.replace('vscode:', 'vscodium:')],
    ['the link of an insiders build', link.replace('vscode:', 'vscode-insiders:')],
    ['further parameters', `${link}&windowId=_blank`],
    ['a slash before the query', link.replace('join?', 'join/?')],
  ];
  for (const [name, text] of pasted) {
    it(`are read with ${name}`, () => {
      assert.deepEqual(parseInvite(text).proof, parseInvite(link).proof);
    });
  }

  const wrong: [string, string, RegExp][] = [
    ['nothing', '', /no invite here/],
    ['blank text', ' \n ', /no invite here/],
    ['other text', 'hello world', /not a Peerwire invite/],
    ['another link', 'https://example.test/join?code=1', /not a Peerwire invite/],
    ['a link without a code', 'vscode://peerwire.peerwire/join?', /not a Peerwire invite/],
    ['the link of another extension', link.replace('peerwire.peerwire', 'peerwire.evil'), /not a Peerwire invite/],
    ['a later version', code.replace('PW1-', 'PW2-'), /newer version/],
    ['a truncated code', code.slice(0, -3), /incomplete or mistyped/],
    ['a prefix alone', 'PW1-', /incomplete or mistyped/],
    ['characters outside the alphabet', `${code.slice(0, 50)}*${code.slice(51)}`, /incomplete or mistyped/],
    ['a swapped character', swapped(code), /incomplete or mistyped/],
    ['far too much', `PW1-${'A'.repeat(40_000)}`, /too long/],
  ];
  for (const [name, text, message] of wrong) {
    it(`are refused with a clear sentence: ${name}`, () => {
      assert.throws(() => parseInvite(text), { code: 'invalid-invite', message });
    });
  }

  function swapped(text: string): string {
    const other = text[100] === 'A' ? 'B' : 'A';
    return text.slice(0, 100) + other + text.slice(101);
  }

  describe('forged, with a right checksum', () => {
    const invite = parseInvite(link);

    function refused(fields: object): void {
      const payload = encode({
        v: 1,
        n: invite.networkName,
        r: pointOfSpki(invite.rootKey),
        s: invite.secret,
        k: invite.key.scalar,
        c: encodeInviteProof(invite.proof),
        t: [],
        ...fields,
      });
      const text = `PW1-${Buffer.concat([payload, sha256(payload).subarray(0, 4)]).toString('base64url')}`;
      assert.throws(
        () => parseInvite(text),
        (error) => {
          assert.ok(error instanceof PeerwireError && error.code === 'invalid-invite');
          // Whatever is wrong, the error keeps the secrets to itself.
          const told = `${error.message} ${error.stack} ${String(error.cause)}`;
          for (const secret of [invite.secret, invite.key.scalar]) {
            for (const form of ['hex', 'base64', 'base64url', 'latin1'] as const) {
              assert.ok(!told.includes(secret.toString(form)));
            }
          }
          return true;
        },
      );
    }

    it('names another root key', () => refused({ r: pointOfSpki(createIdentity().spki) }));
    it('has a certificate by someone else', () =>
      refused({ c: encodeInviteProof(parseInvite(new World().invite()).proof) }));
    it('has the key of another invite', () => refused({ k: createInviteKey().scalar }));
    it('has no key', () => refused({ k: Buffer.alloc(32) }));
    it('has a key beyond the order of the curve', () => refused({ k: Buffer.alloc(32, 0xff) }));
    it('has a short secret', () => refused({ s: Buffer.alloc(31) }));
    it('has a root key off the curve', () => refused({ r: Buffer.alloc(64, 1) }));
    it('leads to a file', () => refused({ t: ['file:///etc/passwd'] }));
    it('leads to a service of this machine', () => refused({ t: ['http://127.0.0.1:9200/_shutdown'] }));
    it('leads to a metadata service', () => refused({ t: ['http://169.254.169.254/latest/meta-data/'] }));
    it('names too many trackers', () =>
      refused({ t: Array.from({ length: 17 }, (_, n) => `http://t${n}.test/announce`) }));
    it('is of a later version', () => refused({ v: 2 }));
    it('expires later than it was signed for', () => {
      const body = Buffer.from(invite.proof.signed.body);
      const at = body.indexOf('1:ei') + 4;
      body[at]! += 1;
      refused({ c: encodeInviteProof({ ...invite.proof, signed: { ...invite.proof.signed, body } }) });
    });
  });

  it('clean up names that would look like something else', () => {
    const invite = parseInvite(link);
    const parts: Invite = { ...invite, networkName: 'a\u202e\u200b\nb' };
    assert.equal(parseInvite(encodeInvite(parts)).networkName, 'a b');
    const named = trust.createInvite({ inviterName: `\u0000${'x'.repeat(500)}` });
    assert.equal(parseInvite(named).inviterName, 'x'.repeat(128));
  });

  it('carry keys that sign', () => {
    const key = createInviteKey();
    const again = loadInviteKey(key.scalar);
    assert.deepEqual(again.spki, key.spki);
    const data = Buffer.from('data');
    assert.ok(verifySignature(key.spki, data, again.sign(data)));
  });
});
