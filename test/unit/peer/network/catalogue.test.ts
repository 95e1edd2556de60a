import assert from 'node:assert/strict';
import { type Encodable, encode } from '../../../../src/bittorrent/bencode.ts';
import { deviceIdBytes } from '../../../../src/common/ids.ts';
import {
  audienceKey,
  checkShare,
  cleanDeviceName,
  compareVersions,
  decodeSection,
  MAX_AUDIENCE,
  MAX_MESSAGE,
  MAX_SECTION_ENTRIES,
  MAX_SECTION_SIZE,
  mayRead,
  sectionContent,
  signSection,
} from '../../../../src/peer/network/catalogue.ts';
import { verifySignature } from '../../../../src/transport/identity.ts';
import { hold, section, share, testPeer } from './support.ts';

const peer = testPeer();
const other = testPeer();
const credentials = Buffer.from('credentials');

/** A section as anyone could sign it, without the checks that our own signing makes. */
function handMade(fields: Record<string, Encodable | undefined>): Buffer {
  const body = encode({
    v: 1,
    network: Buffer.alloc(32),
    spki: peer.identity.spki,
    instance: Buffer.alloc(8),
    incarnation: 1,
    sequence: 1,
    time: 1,
    name: 'x',
    shares: [],
    holds: [],
    ...fields,
  });
  return encode({ body, credentials, signature: Buffer.alloc(64) });
}

const entry = {
  share: Buffer.alloc(16),
  infohash: Buffer.alloc(32),
  name: 'notes.txt',
  kind: 'file',
  size: 1,
  files: 1,
  version: 1,
  time: 1,
};

describe('catalogue sections', () => {
  it('come back as they were signed', () => {
    const shares = [
      share({ message: 'for\nyou', path: 'src/näh/a.ts' }),
      share({ kind: 'folder', files: 20_000, size: 2 ** 40 }),
    ];
    const original = section(peer, { shares, holds: [hold(share(), other.device, false)] });
    const signed = signSection(original, peer.identity, credentials);
    const decoded = decodeSection(signed.bytes);
    assert.deepEqual(decoded.section, original);
    assert.deepEqual(decoded.bytes, signed.bytes);
    assert.equal(decoded.digest, signed.digest);
    assert.deepEqual(decoded.credentials, credentials);
    assert.ok(verifySignature(decoded.spki, decoded.proof.data, decoded.proof.signature));
  });

  it('carry their audience into every entry', () => {
    const to = [other.device];
    const original = section(peer, { to, shares: [share({ to })], holds: [hold(share({ to }), other.device)] });
    const { section: decoded } = decodeSection(signSection(original, peer.identity, credentials).bytes);
    assert.deepEqual(decoded.shares[0]?.to, to);
    assert.deepEqual(decoded.holds[0]?.to, to);
  });

  it('sign under a domain of their own', () => {
    const { proof, body } = decodeSection(signSection(section(peer), peer.identity, credentials).bytes);
    assert.ok(proof.data.subarray(0, 22).equals(Buffer.from('peerwire catalogue v1\0')));
    assert.equal(verifySignature(peer.identity.spki, body, proof.signature), false);
  });

  it('are refused when any field is not what it must be', () => {
    const bad: [string, Record<string, Encodable | undefined>][] = [
      ['another version', { v: 2 }],
      ['no version', { v: undefined }],
      ['a short network', { network: Buffer.alloc(31) }],
      ['a compressed key', { spki: Buffer.alloc(59) }],
      ['a short instance', { instance: Buffer.alloc(7) }],
      ['a negative sequence', { sequence: -1 }],
      ['no name', { name: '' }],
      ['a name in two lines', { name: 'a\nb' }],
      ['a name that changes direction', { name: 'a\u202Eb' }],
      ['a name in bad UTF-8', { name: Buffer.from([0xff]) }],
      ['a long name', { name: 'x'.repeat(129) }],
      ['no list of shares', { shares: undefined }],
      ['no list of holds', { holds: undefined }],
      ['an unsorted audience', { to: [Buffer.alloc(32, 2), Buffer.alloc(32, 1)] }],
      ['a doubled audience', { to: [Buffer.alloc(32, 1), Buffer.alloc(32, 1)] }],
      ['an audience with the signer', { to: [deviceIdBytes(peer.device)] }],
      ['a share twice', { shares: [entry, entry] }],
      ['a hold without an owner', { holds: [{ share: Buffer.alloc(16), infohash: Buffer.alloc(32), complete: 1 }] }],
      ...[
        { share: Buffer.alloc(15) },
        { infohash: Buffer.alloc(20) },
        { name: '..' },
        { name: 'a/b' },
        { name: 'NUL' },
        { path: '../x' },
        { path: 'a//b' },
        { path: '' },
        { path: 'a/.' },
        { size: -1 },
        { version: 0 },
        { kind: 7 },
        { message: 'x'.repeat(MAX_MESSAGE + 1) },
      ].map((fields): [string, Record<string, Encodable>] => [
        `a share with ${JSON.stringify(fields).slice(0, 40)}`,
        { shares: [{ ...entry, ...fields }] },
      ]),
    ];
    assert.equal(decodeSection(handMade({ shares: [entry] })).section.shares.length, 1);
    for (const [what, fields] of bad) {
      assert.throws(() => decodeSection(handMade(fields)), { name: 'PeerwireError' }, what);
    }
  });

  it('skip kinds of share that they do not know', () => {
    const { section: decoded } = decodeSection(handMade({ shares: [{ ...entry, kind: 'hologram' }], new: 1 }));
    assert.deepEqual(decoded.shares, []);
  });

  it('are refused beyond their limits', () => {
    assert.throws(() => decodeSection(Buffer.alloc(MAX_SECTION_SIZE + 1)), {
      code: 'bad-encoding',
      message: /too large/,
    });
    const tiny = { share: Buffer.alloc(16), infohash: Buffer.alloc(32), owner: Buffer.alloc(32), complete: 0 };
    assert.throws(() => decodeSection(handMade({ holds: new Array(MAX_SECTION_ENTRIES + 1).fill(0) })), {
      code: 'bad-encoding',
      message: /too many/,
    });
    assert.throws(() => decodeSection(handMade({ holds: [tiny, tiny] })), { message: /twice/ });
    const many = Array.from({ length: 30_000 }, (_, i) => share({ name: `file-${i}.txt` }));
    assert.throws(() => signSection(section(peer, { shares: many }), peer.identity, credentials), { code: 'usage' });
  });

  it('tell what others would refuse before signing it', () => {
    checkShare(share());
    for (const fields of [
      { name: 'a/b' },
      { path: '../a' },
      { size: 1.5 },
      { version: 0 },
      { message: 'x'.repeat(MAX_MESSAGE + 1) },
      { to: new Array(MAX_AUDIENCE + 1).fill(peer.device) },
    ]) {
      assert.throws(() => checkShare(share(fields)), { name: 'PeerwireError' }, JSON.stringify(fields).slice(0, 40));
    }
  });

  it('name audiences by their members, in any order', () => {
    assert.equal(audienceKey(undefined), '');
    assert.equal(audienceKey([peer.device, other.device]), audienceKey([other.device, peer.device]));
    assert.notEqual(audienceKey([]), '');
    assert.notEqual(audienceKey([peer.device]), audienceKey([other.device]));
  });

  it('may be read by their audience and their signer’s windows', () => {
    const third = testPeer();
    const limited = section(peer, { to: [other.device] });
    assert.equal(mayRead(limited, other.device), true);
    assert.equal(mayRead(limited, peer.device), true);
    assert.equal(mayRead(limited, third.device), false);
    assert.equal(mayRead(section(peer), third.device), true);
  });

  it('are ordered by incarnation, then sequence', () => {
    const version = (incarnation: number, sequence: number) => ({ incarnation, sequence });
    assert.ok(compareVersions(version(2, 0), version(1, 99)) > 0);
    assert.ok(compareVersions(version(1, 1), version(1, 2)) < 0);
    assert.equal(compareVersions(version(1, 1), version(1, 1)), 0);
  });

  it('have equal contents whenever they say the same', () => {
    const shares = [share()];
    const first = section(peer, { shares });
    assert.ok(sectionContent(first).equals(sectionContent({ ...first, incarnation: 5, sequence: 6, time: 7 })));
    assert.ok(!sectionContent(first).equals(sectionContent({ ...first, name: 'else' })));
  });

  it('clean device names', () => {
    assert.equal(cleanDeviceName('  ada@lab\u0000\u202E\n '), 'ada@lab');
    assert.equal(cleanDeviceName(''), 'unnamed');
    assert.equal(cleanDeviceName('\ud800'), '\ufffd');
    assert.ok(Buffer.byteLength(cleanDeviceName('é'.repeat(500))) <= 128);
    for (const name of ['ada', 'é'.repeat(500), 'x y ', '👩‍💻']) {
      assert.equal(cleanDeviceName(cleanDeviceName(name)), cleanDeviceName(name));
    }
  });
});
