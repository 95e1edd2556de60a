import assert from 'node:assert/strict';
import type { BValue, Encodable } from '../../../src/bittorrent/bencode.ts';
import { decodeExtendedHandshake, encodeExtendedHandshake } from '../../../src/bittorrent/wire/extended.ts';
import { decodeHandshake, encodeHandshake, HANDSHAKE_SIZE } from '../../../src/bittorrent/wire/handshake.ts';
import { throwsCode } from './support.ts';

const infoHash = Buffer.alloc(20, 0x11);
const peerId = Buffer.from('-PW0100-abcdefghijkl');
const golden = Buffer.from(
  `13${Buffer.from('BitTorrent protocol').toString('hex')}0000000000100014${'11'.repeat(20)}${peerId.toString('hex')}`,
  'hex',
);

describe('handshake', () => {
  it('has these bytes', () => {
    assert.equal(golden.length, HANDSHAKE_SIZE);
    assert.deepEqual(encodeHandshake({ infoHash, peerId }), golden);
  });

  it('is read back', () => {
    assert.deepEqual(decodeHandshake(golden), { infoHash, peerId, extended: true, fast: true, v2: true });
  });

  it('copies what it keeps', () => {
    const memory = Uint8Array.from(golden);
    const handshake = decodeHandshake(memory);
    memory.fill(0);
    assert.deepEqual(handshake.infoHash, infoHash);
  });

  const flags: [string, string, { extended: boolean; fast: boolean; v2: boolean }][] = [
    ['none', '0000000000000000', { extended: false, fast: false, v2: false }],
    ['BEP 10', '0000000000100000', { extended: true, fast: false, v2: false }],
    ['BEP 6', '0000000000000004', { extended: false, fast: true, v2: false }],
    ['BEP 52', '0000000000000010', { extended: false, fast: false, v2: true }],
    ['all but these', 'ffffffffffefffeb', { extended: false, fast: false, v2: false }],
  ];
  for (const [name, reserved, expected] of flags) {
    it(`reserved bits: ${name}`, () => {
      const bytes = Buffer.from(golden);
      bytes.set(Buffer.from(reserved, 'hex'), 20);
      assert.deepEqual(decodeHandshake(bytes), { infoHash, peerId, ...expected });
    });
  }

  it('is refused with any byte of the protocol name wrong, or of another size', () => {
    for (let at = 0; at < 20; at++) {
      const bytes = Buffer.from(golden);
      bytes[at]! ^= 1;
      throwsCode(() => decodeHandshake(bytes), 'protocol');
    }
    for (let size = 0; size < HANDSHAKE_SIZE; size++) {
      throwsCode(() => decodeHandshake(golden.subarray(0, size)), 'protocol');
    }
    throwsCode(() => decodeHandshake(Buffer.concat([golden, golden])), 'protocol');
  });

  it('is not written with ids of the wrong size', () => {
    assert.throws(() => encodeHandshake({ infoHash: Buffer.alloc(32), peerId }), RangeError);
    assert.throws(() => encodeHandshake({ infoHash, peerId: Buffer.alloc(19) }), RangeError);
  });
});

describe('extended handshake', () => {
  const full = {
    m: { ut_metadata: 3, ut_pex: 1 },
    p: 6881,
    v: 'Peerwire 0.1 é',
    reqq: 2048,
    metadata_size: 31235,
    pw_block: 262144,
    pw_run: 1,
    extra: new Map<string, BValue>([
      ['upload_only', 1],
      ['yourip', Buffer.from([127, 0, 0, 1])],
    ]),
  };
  const bytes =
    'd1:md11:ut_metadatai3e6:ut_pexi1ee13:metadata_sizei31235e1:pi6881e8:pw_blocki262144e6:pw_runi1e4:reqqi2048e11:upload_onlyi1e1:v15:Peerwire 0.1 é6:yourip4:\x7f\0\0\x01e';

  it('has these bytes', () => assert.equal(encodeExtendedHandshake(full).toString(), bytes));
  it('is read back', () => assert.deepEqual(decodeExtendedHandshake(Buffer.from(bytes)), full));
  it('may be almost empty', () => {
    assert.deepEqual(decodeExtendedHandshake(Buffer.from('de')), { m: {} });
    assert.equal(encodeExtendedHandshake({ m: {} }).toString(), 'd1:mdee');
  });
  it('takes own fields of any kind', () => {
    const extra = new Map<string, Encodable>([['pw', { list: [1, 'a'] }]]);
    assert.equal(encodeExtendedHandshake({ m: {}, extra }).toString(), 'd1:mde2:pwd4:listli1e1:aeee');
  });
  it('lets no extension name touch the prototype', () => {
    const { m } = decodeExtendedHandshake(Buffer.from('d1:md9:__proto__i7eee'));
    assert.deepEqual(Object.entries(m), [['__proto__', 7]]);
    assert.equal(Object.getPrototypeOf(m), Object.prototype);
  });
  it('reads what libtorrent 2.0 sends', () => {
    const lt =
      'd12:complete_agoi-1e1:md11:lt_donthavei7e10:share_modei8e11:upload_onlyi3e12:ut_holepunchi4e11:ut_metadatai2e6:ut_pexi1ee1:pi6881e4:reqqi2000e11:upload_onlyi1e1:v18:libtorrent/2.0.8.06:yourip4:\x7f\0\0\x01e';
    const handshake = decodeExtendedHandshake(Buffer.from(lt, 'latin1'));
    assert.equal(handshake.m.ut_metadata, 2);
    assert.equal(handshake.reqq, 2000);
    assert.equal(handshake.v, 'libtorrent/2.0.8.0');
    assert.equal(handshake.extra?.get('complete_ago'), -1);
  });

  const refused: [string, string][] = [
    ['nothing', ''],
    ['a list', 'le'],
    ['trailing bytes', 'dex'],
    ['m that is no dictionary', 'd1:mlee'],
    ['an id that is no integer', 'd1:md6:ut_pex1:1ee'],
    ['an id above 255', 'd1:md6:ut_pexi256eee'],
    ['a negative id', 'd1:md6:ut_pexi-1eee'],
    ['a port above 65535', 'd1:pi65536ee'],
    ['a negative metadata size', 'd13:metadata_sizei-1ee'],
    ['a negative request queue', 'd4:reqqi-1ee'],
    ['a negative block', 'd8:pw_blocki-1ee'],
    ['a negative run', 'd6:pw_runi-1ee'],
    ['a version that is no UTF-8', 'd1:v1:\xffe'],
    ['a long version', `d1:v257:${'v'.repeat(257)}e`],
    ['deep nesting', `d1:x${'l'.repeat(20)}${'e'.repeat(20)}e`],
    ['many values', `d1:xl${'i0e'.repeat(5000)}ee`],
    ['many extensions', `d1:md${Array.from({ length: 257 }, (_, i) => `4:${1000 + i}i1e`).join('')}ee`],
    ['more than 64 KiB', `d1:x65536:${'x'.repeat(65536)}e`],
  ];
  for (const [name, text] of refused) {
    it(`refuses ${name}`, () => throwsCode(() => decodeExtendedHandshake(Buffer.from(text, 'latin1')), 'bad-encoding'));
  }
});
