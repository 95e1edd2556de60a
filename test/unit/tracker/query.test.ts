import assert from 'node:assert/strict';
import fc from 'fast-check';
import { newAnnounceQuery, parseAnnounce, parseScrape } from '../../../tracker/query.ts';

const HASH = Buffer.from('00ff2b2525c3a9e282ac7e20414243440a0d2641', 'hex');
const PEER_ID = Buffer.from('-PW0001-abcdefghijkl');

/** Every byte escaped. */
const escapeAll = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => `%${byte.toString(16).padStart(2, '0')}`).join('');
const target = (extra = '', hash = escapeAll(HASH), id = escapeAll(PEER_ID)): string =>
  `/announce?info_hash=${hash}&peer_id=${id}&port=6881${extra}`;
const parse = (text: string) => {
  const query = newAnnounceQuery();
  const failure = parseAnnounce(text, text.indexOf('?') + 1, query);
  return { failure, query };
};

describe('tracker queries', () => {
  it('reads raw bytes, not text', () => {
    const { failure, query } = parse(target('&left=0&event=started&numwant=7&compact=1'));
    assert.equal(failure, undefined);
    assert.equal(Buffer.from(query.infoHash, 'latin1').toString('hex'), HASH.toString('hex'));
    assert.equal(query.peerId.toString(), PEER_ID.toString());
    assert.deepEqual(
      [query.port, query.seed, query.event, query.numWant, query.compact, query.noPeerId],
      [6881, true, 'started', 7, true, false],
    );
  });

  it('reads any mix of escaped, upper-case and plain bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 20, maxLength: 20 }),
        fc.array(fc.boolean(), { minLength: 20, maxLength: 20 }),
        (bytes, plain) => {
          const text = [...bytes]
            .map((byte, i) => {
              const character = String.fromCharCode(byte);
              if (plain[i] && /[A-Za-z0-9\-._~:@!$'()*,;/?]/.test(character)) return character;
              const escaped = byte.toString(16).padStart(2, '0');
              return `%${plain[i] ? escaped.toUpperCase() : escaped}`;
            })
            .join('');
          const { failure, query } = parse(target('', text));
          assert.equal(failure, undefined);
          assert.deepEqual(Buffer.from(query.infoHash, 'latin1'), Buffer.from(bytes));
        },
      ),
    );
  });

  it('takes the defaults of BEP 3 and BEP 23', () => {
    const { query } = parse(target());
    assert.deepEqual(
      [query.seed, query.event, query.numWant, query.compact, query.noPeerId],
      [false, 'none', 50, true, false],
    );
  });

  it('does not keep values from the query before', () => {
    const query = newAnnounceQuery();
    const first = target('&left=0&event=stopped&numwant=1&compact=0&no_peer_id=1');
    assert.equal(parseAnnounce(first, first.indexOf('?') + 1, query), undefined);
    assert.equal(query.event, 'stopped');
    const second = target();
    assert.equal(parseAnnounce(second, second.indexOf('?') + 1, query), undefined);
    assert.deepEqual(
      [query.seed, query.event, query.numWant, query.compact, query.noPeerId],
      [false, 'none', 50, true, false],
    );
  });

  const refused: [string, string, RegExp][] = [
    ['nothing', '/announce', /info_hash is missing/],
    ['no infohash', `/announce?peer_id=${escapeAll(PEER_ID)}&port=1`, /info_hash is missing/],
    ['no peer id', `/announce?info_hash=${escapeAll(HASH)}&port=1`, /peer_id is missing/],
    ['no port', `/announce?info_hash=${escapeAll(HASH)}&peer_id=${escapeAll(PEER_ID)}`, /port is missing/],
    ['a short infohash', target('', escapeAll(HASH.subarray(1))), /info_hash must be 20 bytes/],
    ['a v2 infohash in full', target('', escapeAll(Buffer.alloc(32))), /info_hash must be 20 bytes/],
    ['hex instead of bytes', target('', HASH.toString('hex')), /info_hash must be 20 bytes/],
    ['a broken escape', target('', `${escapeAll(HASH.subarray(1))}%g0`), /info_hash must be 20 bytes/],
    ['a cut escape', target('', `${escapeAll(HASH.subarray(1))}%0`), /info_hash must be 20 bytes/],
    ['a long peer id', target('', escapeAll(HASH), `${escapeAll(PEER_ID)}x`), /peer_id must be 20 bytes/],
    ['a port out of range', target('&port=65536'), /port must be/],
    ['a negative port', target('&port=-1'), /port must be/],
    ['a fractional port', target('&port=1.5'), /port must be/],
  ];
  for (const [name, text, reason] of refused) {
    it(`refuses ${name}`, () => assert.match(parse(text).failure ?? 'accepted', reason));
  }

  it('ignores addresses that the client names, and what it does not know', () => {
    const { failure, query } = parse(
      target('&ip=9.9.9.9&ipv4=9.9.9.9&ipv6=::9&key=x&supportcrypto=1&=&&x&event=paused&numwant=-1&left='),
    );
    assert.equal(failure, undefined);
    assert.deepEqual([query.event, query.numWant, query.seed], ['none', 50, false]);
  });

  it('reads the infohashes of a scrape', () => {
    const other = Buffer.alloc(20, 7);
    const text = `/scrape?info_hash=${escapeAll(HASH)}&x=1&info_hash=${escapeAll(other)}`;
    assert.deepEqual(parseScrape(text, text.indexOf('?') + 1), [HASH.toString('latin1'), other.toString('latin1')]);
  });

  it('refuses full and oversized scrapes', () => {
    assert.match(String(parseScrape('/scrape', 7)), /full scrapes are not answered/);
    const many = `/scrape?${Array.from({ length: 75 }, () => `info_hash=${'a'.repeat(20)}`).join('&')}`;
    assert.match(String(parseScrape(many, 8)), /At most 74/);
    assert.match(String(parseScrape('/scrape?info_hash=ab', 8)), /20 bytes/);
  });
});
