import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type BValue,
  bytesOf,
  decode,
  decodePrefix,
  dictOf,
  type Encodable,
  encode,
  field,
  intOf,
  listOf,
  rawField,
  textOf,
} from '../../../src/bittorrent/bencode.ts';
import { throwsCode } from './support.ts';

const text = (value: string): Buffer => Buffer.from(value, 'latin1');

/** Any value that decoding can give. */
const { value: anyValue } = fc.letrec<{ value: BValue }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.maxSafeInteger(),
    fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
    fc.array(tie('value'), { maxLength: 5 }),
    fc
      .uniqueArray(fc.tuple(fc.uint8Array({ maxLength: 8 }), tie('value')), {
        maxLength: 5,
        selector: ([key]) => Buffer.from(key).toString('latin1'),
      })
      .map((entries) => {
        const sorted = entries.map(([key, value]) => [Buffer.from(key), value] as const);
        sorted.sort(([a], [b]) => Buffer.compare(a, b));
        return new Map(sorted.map(([key, value]) => [key.toString('latin1'), value]));
      }),
  ),
}));

describe('bencode', () => {
  describe('encode', () => {
    const cases: [string, Encodable, string][] = [
      ['zero', 0, 'i0e'],
      ['negative zero', -0, 'i0e'],
      ['negative', -42, 'i-42e'],
      ['largest', Number.MAX_SAFE_INTEGER, 'i9007199254740991e'],
      ['smallest', Number.MIN_SAFE_INTEGER, 'i-9007199254740991e'],
      ['empty text', '', '0:'],
      ['text as UTF-8', 'é', '2:\xc3\xa9'],
      ['bytes', Uint8Array.of(0, 255), '2:\0\xff'],
      ['list', [1, 'a', []], 'li1e1:alee'],
      ['object with sorted keys, undefined left out', { b: 1, a: 2, c: undefined }, 'd1:ai2e1:bi1ee'],
      ['keys in byte order', { a: 1, Z: 2, '': 3 }, 'd0:i3e1:Zi2e1:ai1ee'],
      [
        'map with raw keys',
        new Map<string, Encodable>([
          ['\xff', 1],
          ['\x01', 'x'],
        ]),
        'd1:\x011:x1:\xffi1ee',
      ],
      ['long list', Array.from({ length: 1000 }, () => 7), `l${'i7e'.repeat(1000)}e`],
    ];
    for (const [name, value, expected] of cases) {
      it(name, () => assert.equal(encode(value).toString('latin1'), expected));
    }

    for (const value of [1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
      it(`refuses ${value}`, () => throwsCode(() => encode(value), 'bad-encoding'));
    }

    it('refuses keys that are not bytes', () => throwsCode(() => encode(new Map([['ā', 1]])), 'bad-encoding'));
  });

  describe('decode', () => {
    const cases: [string, BValue][] = [
      ['i0e', 0],
      ['i-1e', -1],
      ['i9007199254740991e', Number.MAX_SAFE_INTEGER],
      ['0:', Buffer.alloc(0)],
      ['3:a\0\xff', text('a\0\xff')],
      ['le', []],
      ['de', new Map()],
      ['lli1eed0:leee', [[1], new Map([['', []]])]],
      [
        'd1:\xc3i1e2:\xc3\xa9i2ee',
        new Map([
          ['\xc3', 1],
          ['\xc3\xa9', 2],
        ]),
      ],
    ];
    for (const [encoded, expected] of cases) {
      it(JSON.stringify(encoded), () => assert.deepEqual(decode(text(encoded)), expected));
    }

    const malformed: [string, string][] = [
      ['nothing', ''],
      ['unknown letter', 'x'],
      ['end alone', 'e'],
      ['integer without digits', 'ie'],
      ['integer without end', 'i1'],
      ['minus alone', 'i-e'],
      ['negative zero', 'i-0e'],
      ['leading zero', 'i01e'],
      ['negative leading zero', 'i-01e'],
      ['plus sign', 'i+1e'],
      ['space', 'i 1e'],
      ['fraction', 'i1.5e'],
      ['exponent', 'i1e3e'],
      ['integer beyond the safe range', 'i9007199254740992e'],
      ['overlong integer', `i${'1'.repeat(400)}e`],
      ['length beyond the input', '5:abc'],
      ['huge length', '99999999999999999999:a'],
      ['length near 2^53', '9007199254740991:a'],
      ['length with leading zero', '01:a'],
      ['double zero length', '00:'],
      ['negative length', '-1:a'],
      ['length without colon', '3'],
      ['list without end', 'li1e'],
      ['dictionary without end', 'd1:ai1e'],
      ['key without value', 'd1:ae'],
      ['integer key', 'di1ei2ee'],
      ['list key', 'dlei2ee'],
      ['keys out of order', 'd1:bi1e1:ai2ee'],
      ['keys out of byte order', 'd1:ai1e1:Zi2ee'],
      ['duplicate keys', 'd1:ai1e1:ai2ee'],
      ['trailing bytes', 'i1ei2e'],
      ['trailing zero byte', 'de\0'],
      ['two ends', 'lee'],
    ];
    for (const [name, encoded] of malformed) {
      it(`refuses ${name}`, () => throwsCode(() => decode(text(encoded)), 'bad-encoding'));
    }

    it('refuses what is cut off anywhere', () => {
      const whole = text('d1:ad1:bli1e2:xyee1:ci-7ee');
      for (let end = 0; end < whole.length; end++) throwsCode(() => decode(whole.subarray(0, end)), 'bad-encoding');
      assert.ok(decode(whole));
    });

    it('refuses what is nested too deeply, without a deep stack', () => {
      throwsCode(() => decode(text('l'.repeat(1_000_000))), 'bad-encoding', /nested deeper/);
      const nested = (depth: number): Buffer => text('l'.repeat(depth) + 'e'.repeat(depth));
      throwsCode(() => decode(nested(33)), 'bad-encoding');
      assert.ok(decode(nested(32)));
      assert.ok(decode(nested(50_000), { depth: 50_000 }));
    });

    it('refuses more values than allowed', () => {
      const list = text(`l${'i1e'.repeat(9)}e`);
      assert.ok(decode(list, { tokens: 10 }));
      throwsCode(() => decode(list, { tokens: 9 }), 'bad-encoding', /too many/);
      throwsCode(() => decode(text('d1:ai1ee'), { tokens: 2 }), 'bad-encoding', /too many/);
    });

    it('accepts a plain Uint8Array inside a larger buffer', () => {
      const whole = Uint8Array.from(text('xxi7exx'));
      assert.equal(decode(whole.subarray(2, 5)), 7);
    });
  });

  it('decode(encode(x)) is x', () => {
    fc.assert(fc.property(anyValue, (value) => assert.deepEqual(decode(encode(value)), value)));
  });

  it('encode(decode(x)) is x for whatever decodes', () => {
    const soup = fc
      .array(fc.constantFrom('d', 'l', 'e', 'i', '0', '1', '-', ':', '1:a', '1:b', 'i1e', 'le', 'de'), {
        maxLength: 12,
      })
      .map((parts) => text(parts.join('')));
    let decoded = 0;
    fc.assert(
      fc.property(soup, (bytes) => {
        let value: BValue;
        try {
          value = decode(bytes);
        } catch {
          return;
        }
        decoded++;
        assert.deepEqual(encode(value), bytes);
      }),
      { numRuns: 3000 },
    );
    assert.ok(decoded > 0);
  });

  it('decodePrefix tells where the value ends', () => {
    assert.deepEqual(decodePrefix(text('d1:ai1eeREST')), { value: new Map([['a', 1]]), end: 8 });
    throwsCode(() => decodePrefix(text('')), 'bad-encoding');
  });

  describe('rawField', () => {
    const torrent = text('d1:a3:xyz4:infod1:xi1ee1:zlee');
    it('gives the exact bytes of a field', () => {
      assert.equal(rawField(torrent, 'info')?.toString('latin1'), 'd1:xi1ee');
      assert.equal(rawField(torrent, 'a')?.toString('latin1'), '3:xyz');
      assert.equal(rawField(torrent, 'z')?.toString('latin1'), 'le');
    });
    it('is undefined for a field that is absent, also one of an inner dictionary', () => {
      assert.equal(rawField(torrent, 'x'), undefined);
    });
    it('refuses what is not a dictionary', () => throwsCode(() => rawField(text('le'), 'a'), 'bad-encoding'));
  });

  describe('readers', () => {
    const values: [string, BValue | undefined][] = [
      ['int', 1],
      ['bytes', text('a')],
      ['list', []],
      ['dict', new Map()],
      ['nothing', undefined],
    ];
    const readers: [string, (value: BValue | undefined) => unknown][] = [
      ['int', intOf],
      ['bytes', bytesOf],
      ['list', listOf],
      ['dict', dictOf],
    ];
    for (const [wanted, read] of readers) {
      for (const [kind, value] of values) {
        it(`${wanted} from ${kind}`, () => {
          if (kind === wanted) assert.equal(read(value), value);
          else throwsCode(() => read(value), 'bad-encoding', /Expected .* found/);
        });
      }
    }
    it('checks ranges and lengths', () => {
      assert.equal(intOf(5, 5, 5), 5);
      throwsCode(() => intOf(4, 5), 'bad-encoding');
      throwsCode(() => intOf(6, 0, 5), 'bad-encoding');
      throwsCode(() => bytesOf(text('ab'), 3), 'bad-encoding');
      throwsCode(() => textOf(text('abcd'), 3), 'bad-encoding');
    });
    it('reads UTF-8 strictly', () => {
      assert.equal(textOf(Buffer.from('né')), 'né');
      for (const bytes of ['c3', 'c0af', 'eda080', 'f4908080', 'ff']) {
        throwsCode(() => textOf(Buffer.from(bytes, 'hex')), 'bad-encoding');
      }
    });
    it('reads optional fields and names them in errors', () => {
      const dict = dictOf(decode(text('d4:porti70000ee')));
      assert.equal(field(dict, 'port'), 70000);
      assert.equal(field(dict, 'none'), undefined);
      assert.equal(field(dict, 'none', intOf), undefined);
      throwsCode(() => field(dict, 'port', (value) => intOf(value, 0, 65535)), 'bad-encoding', /^port: /);
    });
  });
});
