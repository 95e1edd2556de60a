import assert from 'node:assert/strict';
import fc from 'fast-check';
import { WireDecoder, type WireLimits, type WireSink } from '../../../src/bittorrent/wire/decoder.ts';
import { encodeBlockHeader, encodeMessage, type Message } from '../../../src/bittorrent/wire/messages.ts';
import { PeerwireError } from '../../../src/common/errors.ts';
import { content, throwsCode } from './support.ts';

const ROOT = Buffer.alloc(32, 0xab);
const HASH_FIELDS = { root: ROOT, base: 2, index: 512, length: 4, proofLayers: 7 };
const HASH_HEX = `${'ab'.repeat(32)}00000002000002000000000400000007`;

/** Written down by hand from BEP 3, 6, 10 and 52: one of each. */
const GOLDEN: [Message, string][] = [
  [{ type: 'keep-alive' }, '00000000'],
  [{ type: 'choke' }, '0000000100'],
  [{ type: 'unchoke' }, '0000000101'],
  [{ type: 'interested' }, '0000000102'],
  [{ type: 'not-interested' }, '0000000103'],
  [{ type: 'have', piece: 0x01020304 }, '000000050401020304'],
  [{ type: 'bitfield', bits: Buffer.from('f0a0', 'hex') }, '0000000305f0a0'],
  [{ type: 'bitfield', bits: Buffer.alloc(0) }, '0000000105'],
  [{ type: 'request', piece: 1, begin: 16384, length: 16384 }, '0000000d06000000010000400000004000'],
  [{ type: 'cancel', piece: 1, begin: 16384, length: 16384 }, '0000000d08000000010000400000004000'],
  [{ type: 'suggest', piece: 5 }, '000000050d00000005'],
  [{ type: 'have-all' }, '000000010e'],
  [{ type: 'have-none' }, '000000010f'],
  [{ type: 'reject', piece: 0xffffffff, begin: 0, length: 1 }, '0000000d10ffffffff0000000000000001'],
  [{ type: 'allowed-fast', piece: 6 }, '000000051100000006'],
  [
    { type: 'extended', id: 3, payload: Buffer.from('d1:ai1ee') },
    `0000000a1403${Buffer.from('d1:ai1ee').toString('hex')}`,
  ],
  [{ type: 'extended', id: 0, payload: Buffer.alloc(0) }, '000000021400'],
  [{ type: 'hash-request', ...HASH_FIELDS }, `0000003115${HASH_HEX}`],
  [{ type: 'hashes', ...HASH_FIELDS, hashes: Buffer.alloc(64, 0xcd) }, `0000007116${HASH_HEX}${'cd'.repeat(64)}`],
  [{ type: 'hash-reject', ...HASH_FIELDS }, `0000003117${HASH_HEX}`],
];

interface Block {
  readonly type: 'block';
  readonly piece: number;
  readonly begin: number;
  readonly data: Buffer | undefined;
}

/** Writes down what the decoder says; `want` tells which blocks are kept. */
class Recorder implements WireSink {
  readonly seen: (Message | Block)[] = [];
  readonly #want: (piece: number) => boolean;
  #open: { piece: number; begin: number; target: Buffer | undefined } | undefined;

  constructor(want: (piece: number) => boolean = () => true) {
    this.#want = want;
  }

  get blockOpen(): boolean {
    return this.#open !== undefined;
  }

  onMessage(message: Message): void {
    assert.equal(this.#open, undefined, 'no message within a block');
    this.seen.push(message);
  }

  onBlockStart(piece: number, begin: number, length: number): Uint8Array | undefined {
    assert.equal(this.#open, undefined, 'no block within a block');
    const target = this.#want(piece) ? Buffer.alloc(length) : undefined;
    this.#open = { piece, begin, target };
    return target;
  }

  onBlockEnd(piece: number, begin: number, length: number): void {
    assert.deepEqual([this.#open?.piece, this.#open?.begin], [piece, begin]);
    const data = this.#open?.target;
    assert.ok(data === undefined || data.length === length);
    this.seen.push({ type: 'block', piece, begin, data });
    this.#open = undefined;
  }
}

/** Feeds parts, each from memory that is wiped after the call. */
function feed(sink: WireSink, parts: readonly Uint8Array[], limits?: WireLimits): WireDecoder {
  const decoder = new WireDecoder(sink, limits);
  for (const part of parts) {
    const reused = Uint8Array.from(part);
    decoder.push(reused);
    reused.fill(0xee);
  }
  return decoder;
}

function decodeAll(parts: readonly Uint8Array[], limits?: WireLimits): (Message | Block)[] {
  const recorder = new Recorder();
  feed(recorder, parts, limits);
  return recorder.seen;
}

const blockMessage = (piece: number, begin: number, data: Buffer): Buffer =>
  Buffer.concat([encodeBlockHeader(piece, begin, data.length), data]);

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

describe('wire messages', () => {
  for (const [message, hex] of GOLDEN) {
    describe(message.type, () => {
      const bytes = Buffer.from(hex, 'hex');

      it('has these bytes', () => assert.equal(encodeMessage(message).toString('hex'), hex));

      it('is read whole', () => assert.deepEqual(decodeAll([bytes]), [message]));

      it('is read when split at every offset', () => {
        for (let at = 0; at <= bytes.length; at++) {
          assert.deepEqual(decodeAll([bytes.subarray(0, at), bytes.subarray(at)]), [message], `split at ${at}`);
        }
      });

      it('is read byte by byte', () => {
        assert.deepEqual(decodeAll([...bytes].map((byte) => Uint8Array.of(byte))), [message]);
      });

      it('is not there before its last byte', () => {
        for (let end = 0; end < bytes.length; end++) assert.deepEqual(decodeAll([bytes.subarray(0, end)]), []);
      });

      it('is read after and before others, at every split', () => {
        const before: Message = { type: 'have', piece: 9 };
        const after: Message = { type: 'unchoke' };
        const all = Buffer.concat([encodeMessage(before), bytes, encodeMessage(after)]);
        for (let at = 0; at <= all.length; at++) {
          assert.deepEqual(decodeAll([all.subarray(0, at), all.subarray(at)]), [before, message, after]);
        }
      });
    });
  }

  it('all types are in the table above', () => {
    const types = new Set(GOLDEN.map(([message]) => message.type));
    assert.equal(types.size, 18);
  });

  describe('blocks', () => {
    const data = content('block', 40);
    const bytes = blockMessage(7, 32768, data);
    const expected: Block = { type: 'block', piece: 7, begin: 32768, data };

    it('have this header', () => {
      assert.equal(encodeBlockHeader(7, 32768, 16384).toString('hex'), '00004009070000000700008000');
    });

    it('are copied to their target, split at every offset and every two', () => {
      for (let a = 0; a <= bytes.length; a++) {
        for (let b = a; b <= bytes.length; b++) {
          const parts = [bytes.subarray(0, a), bytes.subarray(a, b), bytes.subarray(b)];
          assert.deepEqual(decodeAll(parts), [expected], `split at ${a} and ${b}`);
        }
      }
    });

    it('are copied into the middle of a larger buffer', () => {
      const piece = Buffer.alloc(100, 1);
      const ended: number[][] = [];
      const sink: WireSink = {
        onMessage: () => assert.fail(),
        onBlockStart: () => piece.subarray(30),
        onBlockEnd: (...args) => ended.push(args),
      };
      feed(sink, [bytes.subarray(0, 20), bytes.subarray(20)]);
      assert.deepEqual(ended, [[7, 32768, 40]]);
      assert.deepEqual(piece, Buffer.concat([Buffer.alloc(30, 1), data, Buffer.alloc(30, 1)]));
    });

    it('are dropped when nobody wants them, the stream going on', () => {
      const all = Buffer.concat([bytes, blockMessage(8, 0, data), bytes]);
      for (let at = 0; at <= all.length; at++) {
        const recorder = new Recorder((piece) => piece === 8);
        feed(recorder, [all.subarray(0, at), all.subarray(at)]);
        assert.deepEqual(recorder.seen, [
          { ...expected, data: undefined },
          { type: 'block', piece: 8, begin: 0, data },
          { ...expected, data: undefined },
        ]);
      }
    });

    it('start as soon as their header is there', () => {
      const recorder = new Recorder();
      const decoder = new WireDecoder(recorder);
      decoder.push(bytes.subarray(0, 12));
      assert.equal(recorder.blockOpen, false);
      decoder.push(bytes.subarray(12, 13));
      assert.equal(recorder.blockOpen, true);
      decoder.push(bytes.subarray(13));
      assert.equal(recorder.blockOpen, false);
    });
  });

  it('any stream gives the same however it is cut', () => {
    const messages = fc.array(
      fc.oneof(
        fc.constantFrom(...GOLDEN.map(([message]) => message)),
        fc.record({
          type: fc.constant('block' as const),
          piece: fc.nat(),
          begin: fc.nat(),
          size: fc.integer({ min: 1, max: 300 }),
        }),
        fc.record({ type: fc.constant('extended' as const), id: fc.nat({ max: 255 }), size: fc.nat({ max: 9000 }) }),
      ),
      { maxLength: 12 },
    );
    fc.assert(
      fc.property(messages, fc.array(fc.nat({ max: 600 }), { minLength: 1 }), (made, cuts) => {
        const expected = made.map((one): Message | Block => {
          if (!('size' in one)) return one;
          const data = content('any', one.size);
          return one.type === 'block'
            ? { type: 'block', piece: one.piece, begin: one.begin, data }
            : { type: 'extended', id: one.id, payload: data };
        });
        const stream = Buffer.concat(
          expected.map((one) =>
            one.type === 'block' ? blockMessage(one.piece, one.begin, one.data!) : encodeMessage(one),
          ),
        );
        const parts: Buffer[] = [];
        for (let at = 0, cut = 0; at < stream.length; cut++) {
          // What is left in one go: the cuts may all be empty.
          const size = cut < 10_000 ? cuts[cut % cuts.length]! : stream.length;
          parts.push(stream.subarray(at, at + size));
          at += size;
        }
        assert.deepEqual(decodeAll(parts), expected);
      }),
      { numRuns: 60 },
    );
  });

  it('unknown messages are skipped, however long and however split', () => {
    const unknown = [9, 10, 18, 19, 24, 99, 255].flatMap((id) => [
      Buffer.concat([u32(1), Buffer.of(id)]),
      Buffer.concat([u32(12), Buffer.of(id), Buffer.alloc(11, 7)]),
    ]);
    const all = Buffer.concat([...unknown, encodeMessage({ type: 'choke' })]);
    for (let at = 0; at <= all.length; at++) {
      assert.deepEqual(decodeAll([all.subarray(0, at), all.subarray(at)]), [{ type: 'choke' }]);
    }
  });

  describe('refuses', () => {
    const sizes: [string, number, readonly number[]][] = [
      ...([0, 1, 2, 3, 14, 15] as const).map((id): [string, number, readonly number[]] => [
        `bare message ${id}`,
        id,
        [0],
      ]),
      ...([4, 13, 17] as const).map((id): [string, number, readonly number[]] => [`piece message ${id}`, id, [4]]),
      ...([6, 8, 16] as const).map((id): [string, number, readonly number[]] => [`block message ${id}`, id, [12]]),
      ['hash request', 21, [48]],
      ['hash reject', 23, [48]],
    ];
    for (const [name, id, good] of sizes) {
      it(`${name} of any other size, at its header`, () => {
        for (let size = 0; size < 70; size++) {
          const header = Buffer.concat([u32(1 + size), Buffer.of(id)]);
          const run = (): unknown => decodeAll([header]);
          if (good.includes(size)) run();
          else throwsCode(run, 'protocol');
        }
      });
    }

    it('hashes that are cut or too short', () => {
      for (const size of [0, 47]) throwsCode(() => decodeAll([u32(1 + size), Buffer.of(22)]), 'protocol');
      for (const size of [49, 79, 81]) {
        throwsCode(() => decodeAll([u32(1 + size), Buffer.of(22), Buffer.alloc(size)]), 'protocol');
      }
      assert.equal(decodeAll([u32(49), Buffer.of(22), Buffer.alloc(48)]).length, 1);
    });

    it('an extended message without an id', () => throwsCode(() => decodeAll([u32(1), Buffer.of(20)]), 'protocol'));

    it('long messages, at the fourth byte', () => {
      for (const length of [1024 * 1024 + 1, 2 ** 31, 2 ** 32 - 1]) {
        throwsCode(() => decodeAll([u32(length)]), 'protocol', /too long/);
      }
      throwsCode(() => decodeAll([u32(101)], { message: 100 }), 'protocol');
      assert.deepEqual(decodeAll([u32(100)], { message: 100 }), []);
    });

    it('long and empty blocks, at the fifth byte', () => {
      const header = (size: number): Buffer => encodeBlockHeader(1, 2, size).subarray(0, 5);
      for (const size of [-8, -1, 0, 16385, 1024 * 1024 - 9]) throwsCode(() => decodeAll([header(size)]), 'protocol');
      throwsCode(() => decodeAll([header(101)], { block: 100 }), 'protocol');
      for (const size of [1, 16384]) assert.deepEqual(decodeAll([header(size)]), []);
    });

    it('everything after an error', () => {
      const recorder = new Recorder();
      const decoder = new WireDecoder(recorder);
      const good = encodeMessage({ type: 'choke' });
      throwsCode(() => decoder.push(Buffer.concat([good, u32(2 ** 31), good])), 'protocol');
      decoder.push(good);
      assert.deepEqual(recorder.seen, [{ type: 'choke' }]);
    });
  });

  it('an error of the sink stops the decoder and comes out of push', () => {
    let calls = 0;
    const sink: WireSink = {
      onMessage() {
        calls++;
        throw new PeerwireError('closed', 'enough');
      },
      onBlockStart: () => undefined,
      onBlockEnd: () => undefined,
    };
    const decoder = new WireDecoder(sink);
    const two = Buffer.concat([encodeMessage({ type: 'choke' }), encodeMessage({ type: 'choke' })]);
    throwsCode(() => decoder.push(two), 'closed');
    decoder.push(two);
    assert.equal(calls, 1);
  });

  it('stop, called from the sink, ends delivery within the chunk', () => {
    const stream = Buffer.concat([
      encodeMessage({ type: 'choke' }),
      blockMessage(1, 0, content('x', 10)),
      encodeMessage({ type: 'unchoke' }),
    ]);
    for (const last of ['choke', 'start', 'end']) {
      const seen: string[] = [];
      const note = (event: string): void => {
        seen.push(event);
        if (event === last) decoder.stop();
      };
      const decoder: WireDecoder = new WireDecoder({
        onMessage: (message) => note(message.type),
        onBlockStart: () => {
          note('start');
          return Buffer.alloc(10);
        },
        onBlockEnd: () => note('end'),
      });
      decoder.push(stream);
      decoder.push(stream);
      assert.equal(seen.at(-1), last);
    }
  });

  it('a claimed length costs no memory before its bytes come', () => {
    const before = process.memoryUsage().arrayBuffers;
    const decoders = Array.from({ length: 500 }, () => {
      const decoder = new WireDecoder(new Recorder());
      decoder.push(Buffer.concat([u32(1024 * 1024), Buffer.of(5), Buffer.alloc(10)]));
      return decoder;
    });
    const grown = process.memoryUsage().arrayBuffers - before;
    assert.ok(grown < 8 * 1024 * 1024, `${grown} bytes for ${decoders.length} claims of 1 MiB`);
  });
});
