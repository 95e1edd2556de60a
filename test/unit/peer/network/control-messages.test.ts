import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { encode } from '../../../../src/bittorrent/bencode.ts';
import { infoHashFromBytes } from '../../../../src/common/ids.ts';
import {
  type CatalogueMessage,
  decodeCatalogueMessage,
  decodeConnectMessage,
  decodeMembershipMessage,
  encodeCatalogueMessage,
  encodeConnectMessage,
  encodeMembershipMessage,
  MAX_FRAME,
  MAX_ROWS,
  PART_SIZE,
  PartCollector,
  partsOf,
  type SectionHead,
} from '../../../../src/peer/network/control-messages.ts';
import { testPeer } from './support.ts';

const { device, instance } = testPeer();

function head(fields: Partial<SectionHead> = {}): SectionHead {
  return { device, instance, audience: '', incarnation: 1, sequence: 2, digest: '0123456789abcdef', ...fields };
}

describe('control messages', () => {
  it('come back as they were sent', () => {
    const audience = 'ff'.repeat(16);
    const messages: CatalogueMessage[] = [
      { type: 'heads', heads: [] },
      { type: 'heads', heads: [head(), head({ audience, incarnation: Number.MAX_SAFE_INTEGER, sequence: 0 })] },
      {
        type: 'want',
        names: [
          { device, instance, audience },
          { device, instance, audience: '' },
        ],
      },
      { type: 'part', name: { device, instance, audience }, size: 5, at: 2, data: Buffer.from('abc') },
    ];
    for (const message of messages) assert.deepEqual(decodeCatalogueMessage(encodeCatalogueMessage(message)), message);
    for (const message of [
      { type: 'head', head: 'abc' },
      { type: 'part', head: 'abc', size: 0, at: 0, data: Buffer.alloc(0) },
    ] as const) {
      assert.deepEqual(decodeMembershipMessage(encodeMembershipMessage(message)), message);
    }
    const infohash = infoHashFromBytes(randomBytes(32));
    for (const message of [
      { type: 'dial', infohash },
      { type: 'back', id: 7 },
      { type: 'backed', id: 7, outcome: 'dropped' },
    ] as const)
      assert.deepEqual(decodeConnectMessage(encodeConnectMessage(message)), message);
  });

  it('fit into a frame at their largest', () => {
    const heads = new Array<SectionHead>(MAX_ROWS).fill(head({ audience: 'ff'.repeat(16) }));
    assert.ok(encodeCatalogueMessage({ type: 'heads', heads }).length + 2 <= MAX_FRAME);
    const [part] = partsOf(randomBytes(10 * PART_SIZE));
    assert.ok(part && encodeCatalogueMessage({ ...part, type: 'part', name: head() }).length + 2 <= MAX_FRAME);
    assert.throws(() => decodeCatalogueMessage(encodeCatalogueMessage({ type: 'heads', heads: [...heads, head()] })), {
      code: 'bad-encoding',
    });
  });

  it('of types to come are ignored', () => {
    assert.equal(decodeCatalogueMessage(encode({ t: 'later', x: [1, 2] })), undefined);
    assert.equal(decodeMembershipMessage(encode({ t: 'later' })), undefined);
    assert.equal(decodeConnectMessage(encode({ t: 'relay' })), undefined);
  });

  it('are refused when malformed', () => {
    for (const payload of [
      Buffer.alloc(0),
      encode([]),
      encode({}),
      encode({ t: 7 }),
      encode({ t: 'heads' }),
      encode({ t: 'heads', rows: Buffer.alloc(79) }),
      encode({ t: 'heads', rows: Buffer.alloc(80, 0xff) }),
      encode({ t: 'want', rows: Buffer.alloc(55) }),
      encode({ t: 'part', row: Buffer.alloc(55), size: 1, at: 0, data: 'x' }),
      encode({ t: 'part', row: Buffer.alloc(56), size: -1, at: 0, data: 'x' }),
      encode({ t: 'part', row: Buffer.alloc(56), size: 2 ** 40, at: 0, data: 'x' }),
      encode({ t: 'part', row: Buffer.alloc(56), size: 1, at: 2, data: 'x' }),
      encode({ t: 'part', row: Buffer.alloc(56), size: 1, at: 0 }),
    ]) {
      assert.throws(() => decodeCatalogueMessage(payload), { code: 'bad-encoding' }, payload.toString('latin1'));
    }
    assert.throws(() => decodeMembershipMessage(encode({ t: 'head' })), { code: 'bad-encoding' });
    assert.throws(() => decodeMembershipMessage(encode({ t: 'part', head: 'x', size: 2 ** 30, at: 0, data: '' })), {
      code: 'bad-encoding',
    });
    assert.throws(() => decodeConnectMessage(encode({ t: 'dial', infohash: Buffer.alloc(20) })), {
      code: 'bad-encoding',
    });
  });
});

describe('PartCollector', () => {
  it('puts together what partsOf cut', () => {
    for (const size of [0, 1, PART_SIZE - 1, PART_SIZE, PART_SIZE + 1, 3 * PART_SIZE + 7]) {
      const bytes = randomBytes(size);
      const collector = new PartCollector();
      const results = [...partsOf(bytes)].map((part) => collector.add(part));
      assert.deepEqual(results.pop(), bytes);
      assert.ok(results.every((result) => result === undefined));
    }
  });

  it('starts anew with a part at the beginning', () => {
    const collector = new PartCollector();
    const [first] = partsOf(randomBytes(2 * PART_SIZE));
    assert.ok(first);
    assert.equal(collector.add(first), undefined);
    assert.deepEqual(collector.add({ size: 2, at: 0, data: Buffer.from('ok') }), Buffer.from('ok'));
  });

  it('refuses parts out of place', () => {
    const data = Buffer.from('abc');
    for (const parts of [
      [{ size: 6, at: 3, data }],
      [
        { size: 6, at: 0, data },
        { size: 6, at: 4, data: Buffer.from('x') },
      ],
      [
        { size: 6, at: 0, data },
        { size: 7, at: 3, data },
      ],
      [{ size: 2, at: 0, data }],
      [
        { size: 6, at: 0, data },
        { size: 6, at: 3, data: Buffer.alloc(0) },
      ],
    ]) {
      const collector = new PartCollector();
      assert.throws(() => parts.map((part) => collector.add(part)), { code: 'protocol' });
    }
  });
});
