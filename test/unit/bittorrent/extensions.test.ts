import assert from 'node:assert/strict';
import fc from 'fast-check';
import { encode } from '../../../src/bittorrent/bencode.ts';
import { decodeCompact, encodeCompact, formatIp, parseIp } from '../../../src/bittorrent/compact-address.ts';
import {
  decodeMetadataMessage,
  encodeMetadataMessage,
  METADATA_PIECE,
  type MetadataMessage,
} from '../../../src/bittorrent/wire/ut-metadata.ts';
import { decodePex, encodePex, MAX_PEX_PEERS } from '../../../src/bittorrent/wire/ut-pex.ts';
import { content, throwsCode } from './support.ts';

describe('ut_metadata', () => {
  const golden: [MetadataMessage, string][] = [
    [{ type: 'request', piece: 0 }, 'd8:msg_typei0e5:piecei0ee'],
    [{ type: 'reject', piece: 7 }, 'd8:msg_typei2e5:piecei7ee'],
    [
      { type: 'data', piece: 0, totalSize: 3, data: Buffer.from('abc') },
      'd8:msg_typei1e5:piecei0e10:total_sizei3eeabc',
    ],
    // Content that goes on like bencoding must not be read as such.
    [
      { type: 'data', piece: 0, totalSize: 3, data: Buffer.from('dee') },
      'd8:msg_typei1e5:piecei0e10:total_sizei3eedee',
    ],
  ];
  for (const [message, bytes] of golden) {
    it(`${message.type}: ${bytes}`, () => {
      assert.equal(encodeMetadataMessage(message).toString(), bytes);
      assert.deepEqual(decodeMetadataMessage(Buffer.from(bytes)), message);
    });
  }

  it('every piece of some metadata', () => {
    for (const totalSize of [1, METADATA_PIECE - 1, METADATA_PIECE, METADATA_PIECE + 1, 3 * METADATA_PIECE + 7]) {
      const metadata = content('metadata', totalSize);
      for (let piece = 0; piece * METADATA_PIECE < totalSize; piece++) {
        const data = metadata.subarray(piece * METADATA_PIECE, (piece + 1) * METADATA_PIECE);
        const message = { type: 'data', piece, totalSize, data } as const;
        assert.deepEqual(decodeMetadataMessage(encodeMetadataMessage(message)), message);
      }
    }
  });

  it('ignores unknown types, as BEP 9 says', () => {
    assert.equal(decodeMetadataMessage(Buffer.from('d8:msg_typei3e5:piecei0ee')), undefined);
    assert.equal(decodeMetadataMessage(Buffer.from('d8:msg_typei-1e1:xi0eexyz')), undefined);
  });

  const data = (piece: number, totalSize: number, size: number): Buffer =>
    Buffer.concat([encode({ msg_type: 1, piece, total_size: totalSize }), Buffer.alloc(size)]);
  const refused: [string, Buffer][] = [
    ['nothing', Buffer.alloc(0)],
    ['no dictionary', Buffer.from('i0e')],
    ['no type', Buffer.from('d5:piecei0ee')],
    ['no piece', Buffer.from('d8:msg_typei0ee')],
    ['a negative piece', Buffer.from('d8:msg_typei0e5:piecei-1ee')],
    ['a piece beyond any metadata', Buffer.from('d8:msg_typei0e5:piecei1024ee')],
    ['a request with content', Buffer.from('d8:msg_typei0e5:piecei0eex')],
    ['a reject with content', Buffer.from('d8:msg_typei2e5:piecei0eex')],
    ['data without a total', Buffer.from('d8:msg_typei1e5:piecei0eex')],
    ['data of nothing', data(0, 0, 0)],
    ['data too short', data(0, 100, 99)],
    ['data too long', data(0, 100, 101)],
    ['a short piece before the last', data(0, 20_000, 3616)],
    ['a piece past the end', data(2, 20_000, 0)],
    ['more than 16 MiB in all', data(0, 16 * 1024 * 1024 + 1, METADATA_PIECE)],
    ['a total of 2^53', Buffer.from('d8:msg_typei1e5:piecei0e10:total_sizei9007199254740991eex')],
    ['deep nesting', Buffer.from(`d8:msg_typei0e5:piecei0e1:x${'l'.repeat(9)}${'e'.repeat(9)}e`)],
  ];
  for (const [name, bytes] of refused) {
    it(`refuses ${name}`, () => throwsCode(() => decodeMetadataMessage(bytes), 'bad-encoding'));
  }
});

describe('ut_pex', () => {
  const message = {
    added: [
      { host: '10.0.0.1', port: 6881, flags: 2 },
      { host: '192.168.1.2', port: 1, flags: 0x10 },
      { host: '2001:db8::1', port: 65535, flags: 0 },
    ],
    dropped: [
      { host: '10.0.0.2', port: 6882 },
      { host: 'fe80::2', port: 6883 },
    ],
  };
  const golden = Buffer.from(
    [
      'd5:added12:\x0a\0\0\x01\x1a\xe1\xc0\xa8\x01\x02\0\x017:added.f2:\x02\x10',
      '6:added618:\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff8:added6.f1:\0',
      '7:dropped6:\x0a\0\0\x02\x1a\xe28:dropped618:\xfe\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x1a\xe3e',
    ].join(''),
    'latin1',
  );

  it('has these bytes', () => assert.equal(encodePex(message).toString('latin1'), golden.toString('latin1')));
  it('is read back', () => assert.deepEqual(decodePex(golden), message));
  it('may be empty', () => {
    const empty = { added: [], dropped: [] };
    assert.deepEqual(decodePex(encodePex(empty)), empty);
    assert.deepEqual(decodePex(Buffer.from('de')), empty);
  });
  it('takes flags as 0 when they are missing', () => {
    assert.deepEqual(decodePex(Buffer.from('d5:added6:\x01\x02\x03\x04\0\x05e')).added, [
      { host: '1.2.3.4', port: 5, flags: 0 },
    ]);
  });
  it('leaves out what has no compact form', () => {
    const added = [
      { host: 'example.com', port: 1, flags: 0 },
      { host: '1.2.3.4', port: 0, flags: 0 },
      { host: '1.2.3.4', port: 70_000, flags: 0 },
      { host: '1.2.3.4', port: 5, flags: 1 },
    ];
    assert.deepEqual(decodePex(encodePex({ added, dropped: [] })).added, added.slice(3));
  });
  it('leaves out port 0 when reading, the flags staying with their peers', () => {
    const bytes = Buffer.from('d5:added12:\x01\x02\x03\x04\0\0\x05\x06\x07\x08\0\x097:added.f2:\x01\x02e', 'latin1');
    assert.deepEqual(decodePex(bytes).added, [{ host: '5.6.7.8', port: 9, flags: 2 }]);
  });
  it('neither sends nor reads more than 50', () => {
    const many = Array.from({ length: 120 }, (_, i) => ({
      host: i % 2 ? `10.0.0.${i}` : `2001:db8::${i}`,
      port: 1 + i,
      flags: i,
    }));
    const sent = decodePex(encodePex({ added: many, dropped: many }));
    assert.equal(sent.added.length, MAX_PEX_PEERS);
    assert.equal(sent.dropped.length, MAX_PEX_PEERS);

    const flood = encode({
      added: Buffer.alloc(6 * 20_000, 1),
      'added.f': Buffer.alloc(20_000),
      added6: Buffer.alloc(18 * 20_000, 1),
      dropped: Buffer.alloc(6 * 20_000, 1),
    });
    const read = decodePex(flood);
    assert.equal(read.added.length, MAX_PEX_PEERS);
    assert.equal(read.dropped.length, MAX_PEX_PEERS);
  });

  const refused: [string, Buffer][] = [
    ['a list', Buffer.from('le')],
    ['addresses that are no string', Buffer.from('d5:addedi1ee')],
    ['cut addresses', encode({ added: Buffer.alloc(7) })],
    ['cut IPv6 addresses', encode({ added6: Buffer.alloc(17) })],
    ['cut dropped addresses', encode({ dropped: Buffer.alloc(5) })],
    ['cut addresses after the fiftieth', encode({ added: Buffer.alloc(6 * 50 + 1) })],
    ['too few flags', encode({ added: Buffer.alloc(12), 'added.f': Buffer.alloc(1) })],
    ['too many flags', encode({ added6: Buffer.alloc(18), 'added6.f': Buffer.alloc(2) })],
    ['many fields', Buffer.from(`d${Array.from({ length: 300 }, (_, i) => `4:${1000 + i}i1e`).join('')}e`)],
  ];
  for (const [name, bytes] of refused) {
    it(`refuses ${name}`, () => throwsCode(() => decodePex(bytes), 'bad-encoding'));
  }
});

describe('compact addresses', () => {
  const addresses: [string, string, string][] = [
    ['0.0.0.0', '00000000', '0.0.0.0'],
    ['255.255.255.255', 'ffffffff', '255.255.255.255'],
    ['::', '0'.repeat(32), '::'],
    ['::1', `${'0'.repeat(31)}1`, '::1'],
    ['1::', `0001${'0'.repeat(28)}`, '1::'],
    ['2001:DB8:0:0:1:0:0:1', '20010db8000000000001000000000001', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '20010db8000000010001000100010001', '2001:db8:0:1:1:1:1:1'],
    ['1:2:3:4:5:6:7::', '00010002000300040005000600070000', '1:2:3:4:5:6:7:0'],
    ['64:ff9b::1.2.3.4', '0064ff9b000000000000000001020304', '64:ff9b::102:304'],
    ['::ffff:1.2.3.4', '01020304', '1.2.3.4'],
    ['::FFFF:102:304', '01020304', '1.2.3.4'],
  ];
  for (const [host, hex, text] of addresses) {
    it(host, () => {
      const bytes = parseIp(host);
      assert.equal(bytes?.toString('hex'), hex);
      assert.equal(formatIp(bytes!), text);
    });
  }

  const wrong = [
    '',
    'localhost',
    '1.2.3',
    '1.2.3.4.5',
    '1.2.3.256',
    '01.2.3.4',
    '1.2.3.4 ',
    '1.2.3.-4',
    '0x1.2.3.4',
    '1e1.2.3.4',
    ':',
    ':::',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1::2::3',
    '1:2:3:4:5:6:7:8::',
    '12345::',
    'g::',
    '::1%eth0',
    '[::1]',
    '::1.2.3',
    '1.2.3.4::',
    '::1.2.3.4:5',
    ':1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:',
  ];
  for (const host of wrong) {
    it(`${JSON.stringify(host)} is no address`, () => assert.equal(parseIp(host), undefined));
  }

  it('formatIp(parseIp) is stable for any bytes', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ minLength: 4, maxLength: 4 }),
          fc.array(fc.constantFrom(0, 0, 1, 255), { minLength: 16, maxLength: 16 }),
        ),
        (bytes) => {
          const text = formatIp(Uint8Array.from(bytes));
          assert.equal(formatIp(parseIp(text)!), text);
        },
      ),
    );
    assert.throws(() => formatIp(Buffer.alloc(5)), RangeError);
  });

  it('agrees with the URL standard on IPv6', () => {
    fc.assert(
      fc.property(fc.ipV6(), (host) => {
        const bytes = parseIp(host);
        assert.ok(bytes);
        if (bytes.length === 16) assert.equal(`[${formatIp(bytes)}]`, new URL(`http://[${host}]`).hostname);
      }),
    );
  });

  it('encode to 6 and 18 bytes', () => {
    assert.equal(encodeCompact({ host: '1.2.3.4', port: 258 })?.toString('hex'), '010203040102');
    assert.equal(encodeCompact({ host: '::1', port: 1 })?.length, 18);
    for (const port of [0, -1, 65536, 1.5, Number.NaN])
      assert.equal(encodeCompact({ host: '1.2.3.4', port }), undefined);
    assert.equal(encodeCompact({ host: 'x', port: 1 }), undefined);
  });

  it('decode in lists, and not in part', () => {
    assert.deepEqual(decodeCompact(Buffer.from('010203040102050607080000', 'hex'), 4), [
      { host: '1.2.3.4', port: 258 },
      { host: '5.6.7.8', port: 0 },
    ]);
    assert.deepEqual(decodeCompact(Buffer.alloc(0), 6), []);
    throwsCode(() => decodeCompact(Buffer.alloc(5), 4), 'bad-encoding');
    throwsCode(() => decodeCompact(Buffer.alloc(24), 6), 'bad-encoding');
  });
});
