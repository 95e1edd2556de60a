import assert from 'node:assert/strict';
import { isIP, isIPv4 } from 'node:net';
import fc from 'fast-check';
import { formatAddress, isLoopback, parseAddress } from '../../../tracker/address.ts';

const hex = (bytes: Uint8Array | undefined): string | undefined => bytes && Buffer.from(bytes).toString('hex');

describe('tracker addresses', () => {
  const cases: [string, string | undefined][] = [
    ['1.2.3.4', '01020304'],
    ['255.255.255.255', 'ffffffff'],
    ['0.0.0.0', '00000000'],
    ['::', '00000000000000000000000000000000'],
    ['::1', '00000000000000000000000000000001'],
    ['2001:db8::8:800:200c:417a', '20010db80000000000080800200c417a'],
    ['2001:db8:1:2:3:4:5:6', '20010db8000100020003000400050006'],
    ['fe80::1%eth0', 'fe800000000000000000000000000001'],
    ['::ffff:10.1.2.3', '0a010203'],
    ['::ffff:a01:203', '0a010203'],
    ['64:ff9b::10.1.2.3', '0064ff9b00000000000000000a010203'],
    ['', undefined],
    ['1.2.3', undefined],
    ['1.2.3.4.5', undefined],
    ['1.2.3.', undefined],
    ['.1.2.3', undefined],
    ['1.2.3.256', undefined],
    ['01.2.3.4', undefined],
    ['1.2.3.4 ', undefined],
    ['1:2:3:4:5:6:7', undefined],
    ['1:2:3:4:5:6:7:8:9', undefined],
    ['1::2::3', undefined],
    ['::12345', undefined],
    ['::1.2.3.400', undefined],
    ['example.com', undefined],
  ];
  for (const [text, expected] of cases) {
    it(`${JSON.stringify(text)} → ${expected}`, () => assert.equal(hex(parseAddress(text)), expected));
  }

  it('agrees with node:net on what an address is', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), (text) => {
        fc.pre(!text.includes('%'));
        assert.equal(parseAddress(text) !== undefined, isIP(text) !== 0, text);
      }),
    );
  });

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ minLength: 4, maxLength: 4 }),
        fc.uint8Array({ minLength: 16, maxLength: 16 }),
        (four, six) => {
          assert.ok(isIPv4(formatAddress(four)));
          assert.equal(hex(parseAddress(formatAddress(four))), hex(four));
          fc.pre(six.slice(0, 12).some((byte, i) => byte !== (i < 10 ? 0 : 255)));
          assert.equal(hex(parseAddress(formatAddress(six))), hex(six));
        },
      ),
    );
  });

  it('knows loopback', () => {
    for (const [text, expected] of [
      ['127.0.0.1', true],
      ['127.9.9.9', true],
      ['::1', true],
      ['128.0.0.1', false],
      ['::2', false],
      ['::', false],
    ] as const) {
      assert.equal(isLoopback(parseAddress(text)!), expected, text);
    }
  });
});
