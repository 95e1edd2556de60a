import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { sha256 } from '../../../../src/bittorrent/merkle.ts';
import { deviceIdFromHash, networkIdFromBytes } from '../../../../src/common/ids.ts';
import { displayName } from '../../../../src/peer/trust/names.ts';
import { controlInfoHash, lanInfoHashes, rendezvousInfoHashes } from '../../../../src/peer/trust/rendezvous.ts';
import { wordsFor } from '../../../../src/peer/trust/words.ts';
import { createIdentity } from '../../../../src/transport/identity.ts';

const WEEK = 7 * 24 * 3_600_000;
const HOUR = 3_600_000;

describe('rendezvous', () => {
  const network = networkIdFromBytes(randomBytes(32));
  const secret = randomBytes(32);
  const at = (now: number): string[] => rendezvousInfoHashes(network, secret, now).map((hash) => hash.toString('hex'));
  const start = 2900 * WEEK;

  it('is this week and the nearest other one', () => {
    const [last, current, next] = [at(start - 1)[0], at(start)[0], at(start + WEEK)[0]];
    assert.deepEqual(at(start + HOUR), [current, last]);
    assert.deepEqual(at(start + WEEK - HOUR), [current, next]);
    assert.equal(new Set([last, current, next]).size, 3);
    assert.match(current ?? '', /^[0-9a-f]{40}$/);
  });

  it('lets peers meet whose clocks differ by three days', () => {
    for (let now = start; now < start + WEEK; now += HOUR) {
      const theirs = at(now + 3 * 24 * HOUR);
      assert.ok(at(now).some((hash) => theirs.includes(hash)));
    }
  });

  it('depends on the secret, and on the network', () => {
    const [current] = at(start);
    assert.notEqual(rendezvousInfoHashes(network, randomBytes(32), start)[0]?.toString('hex'), current);
    const other = networkIdFromBytes(randomBytes(32));
    assert.notEqual(rendezvousInfoHashes(other, secret, start)[0]?.toString('hex'), current);
  });

  it('names another on the local network, which tells nothing of the one at trackers', () => {
    const lan = (now: number): string[] => lanInfoHashes(network, secret, now).map((hash) => hash.toString('hex'));
    for (const now of [start, start + WEEK - HOUR]) {
      assert.equal(new Set([...lan(now), ...at(now), controlInfoHash(network).toString('hex')]).size, 5);
    }
    assert.deepEqual(lan(start + HOUR), [lan(start)[0], lan(start - 1)[0]]);
    assert.notEqual(lanInfoHashes(network, randomBytes(32), start)[0]?.toString('hex'), lan(start)[0]);
    const zeros = networkIdFromBytes(Buffer.alloc(32));
    // HKDF-SHA256 of 32 zero bytes with a salt of 32 zero bytes and info "peerwire lan v1 0", by openssl kdf.
    assert.equal(lanInfoHashes(zeros, Buffer.alloc(32), 0)[0]?.toString('hex'), LAN_OF_ZEROS);
  });

  it('is not the infohash of control connections', () => {
    assert.equal(controlInfoHash(network).length, 20);
    assert.ok(!at(start).includes(controlInfoHash(network).toString('hex')));
    assert.deepEqual(
      controlInfoHash(networkIdFromBytes(Buffer.alloc(32))).toString('hex'),
      // printf 'peerwire control' | cat - <(head -c32 /dev/zero) | sha256sum | head -c40
      CONTROL_OF_ZEROS,
    );
  });
});

const LAN_OF_ZEROS = '983a3f90929836980a8f1166bcc35c6eb923dcbf';
const CONTROL_OF_ZEROS = 'c61d5bf27ae3109c51d05188bf33a4344fbd2670';

describe('words', () => {
  it('are four, the same for the same device and others for another', () => {
    const [a, b] = [createIdentity().device, createIdentity().device];
    assert.equal(wordsFor(a).length, 4);
    assert.deepEqual(wordsFor(a), wordsFor(a));
    assert.notDeepEqual(wordsFor(a), wordsFor(b));
    for (const word of wordsFor(a)) assert.match(word, /^[a-z]{3,}$/);
  });

  it('use the whole list', () => {
    const seen = new Set<string>();
    for (let n = 0; n < 1500; n++) {
      for (const word of wordsFor(deviceIdFromHash(sha256(Buffer.from(`${n}`))))) seen.add(word);
    }
    // 6000 draws: to miss a word has a chance of 256 · e^-23.
    assert.equal(seen.size, 256);
  });
});

describe('names for display', () => {
  it('are one printable line of at most 128 bytes', () => {
    assert.equal(displayName('  a \t b\r\n'), 'a b');
    assert.equal(displayName('e\u0301'), '\u00e9');
    assert.equal(displayName('\u202egnp.exe\u0007'), 'gnp.exe');
    assert.equal(Buffer.byteLength(displayName('😀'.repeat(100))), 128);
    assert.equal(displayName('\ud800'), '');
  });
});
