import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import {
  decodeLsdAnnounce,
  encodeLsdAnnounce,
  MAX_DATAGRAM,
  MAX_INFO_HASHES,
} from '../../../src/transport/lsd-announce.ts';

const HASH = '0123456789abcdef0123456789abcdef01234567';
const infoHashes = [Buffer.from(HASH, 'hex')];

/** A datagram of these lines. */
function datagram(...lines: string[]): Buffer {
  return Buffer.from(`${['BT-SEARCH * HTTP/1.1', ...lines].join('\r\n')}\r\n\r\n\r\n`);
}

describe('announces of local service discovery', () => {
  it('are written as BEP 14 says, byte for byte', () => {
    assert.equal(
      encodeLsdAnnounce({ port: 6881, infoHashes, cookie: 'c00c1e' }, 4).toString(),
      `BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6881\r\nInfohash: ${HASH}\r\ncookie: c00c1e\r\n\r\n\r\n`,
    );
    assert.match(encodeLsdAnnounce({ port: 1, infoHashes }, 6).toString(), /\r\nHost: \[ff15::efc0:988f\]:6771\r\n/);
  });

  it('keep what was written, and fit into a datagram', () => {
    const full = {
      port: 65535,
      infoHashes: Array.from({ length: MAX_INFO_HASHES }, () => randomBytes(20)),
      cookie: randomBytes(16).toString('hex'),
    };
    for (const family of [4, 6] as const) {
      const bytes = encodeLsdAnnounce(full, family);
      assert.ok(bytes.length <= MAX_DATAGRAM, `${bytes.length} bytes`);
      assert.deepEqual(decodeLsdAnnounce(bytes), full);
    }
    assert.throws(
      () => encodeLsdAnnounce({ port: 1, infoHashes: [...full.infoHashes, randomBytes(20)] }, 4),
      RangeError,
    );
  });

  it('are understood from other clients', () => {
    const read = decodeLsdAnnounce(
      datagram(
        'HOST:239.192.152.143:6771',
        `INFOHASH:${HASH.toUpperCase()}`,
        'port:51413',
        'X-New: anything',
        'Cookie: a b',
      ),
    );
    assert.deepEqual(read, { port: 51413, infoHashes, cookie: 'a b' });
  });

  const port = 'Port: 6881';
  const hash = `Infohash: ${HASH}`;
  for (const [what, bytes] of [
    ['nothing', Buffer.alloc(0)],
    ['another method', Buffer.from(`M-SEARCH * HTTP/1.1\r\n${port}\r\n${hash}\r\n\r\n`)],
    ['no end', Buffer.from(`BT-SEARCH * HTTP/1.1\r\n${port}\r\n${hash}\r\n`)],
    ['no port', datagram(hash)],
    ['no infohash', datagram(port)],
    ['an infohash that is none', datagram(port, 'Infohash: 0123')],
    ['two ports', datagram(port, 'Port: 6882', hash)],
    ['a port beyond 65535', datagram('Port: 65536', hash)],
    ['a negative port', datagram('Port: -1', hash)],
    ['a port with a point', datagram('Port: 80.5', hash)],
    ['two cookies', datagram(port, hash, 'cookie: a', 'cookie: b')],
    ['a cookie too long', datagram(port, hash, `cookie: ${'a'.repeat(65)}`)],
    ['a line that is no header', datagram(port, hash, 'hello')],
    ['control characters', datagram(port, hash, 'cookie: a\x00b')],
    ['too many bytes', datagram(port, hash, `X: ${'a'.repeat(MAX_DATAGRAM)}`)],
  ] as const)
    it(`are not: ${what}`, () => assert.equal(decodeLsdAnnounce(bytes), undefined));

  it('name no more infohashes than fit, each once', () => {
    const same = decodeLsdAnnounce(datagram(port, hash, hash, `Infohash: ${HASH.toUpperCase()}`, 'Infohash: x'));
    assert.deepEqual(same?.infoHashes, infoHashes);
  });
});
