/** The decoders of src/bittorrent that read bytes from a stranger. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { decode, decodePrefix, encode, rawField } from '../../src/bittorrent/bencode.ts';
import { formatIp, parseIp } from '../../src/bittorrent/compact-address.ts';
import { HashTree, hashesFor, proofLayersFor, verifyHashes } from '../../src/bittorrent/merkle.ts';
import {
  decodeTorrent,
  encodeTorrent,
  type Info,
  parseInfo,
  pieceAt,
  pieceHash,
} from '../../src/bittorrent/metainfo.ts';
import { checkTree, escapeName, foldName } from '../../src/bittorrent/safe-path.ts';
import { WireDecoder } from '../../src/bittorrent/wire/decoder.ts';
import { decodeExtendedHandshake, encodeExtendedHandshake } from '../../src/bittorrent/wire/extended.ts';
import { decodeHandshake, encodeHandshake } from '../../src/bittorrent/wire/handshake.ts';
import { encodeBlockHeader, encodeMessage, type Message } from '../../src/bittorrent/wire/messages.ts';
import { decodeMetadataMessage, encodeMetadataMessage } from '../../src/bittorrent/wire/ut-metadata.ts';
import { decodePex, encodePex } from '../../src/bittorrent/wire/ut-pex.ts';
import { PeerwireError } from '../../src/common/errors.ts';
import { build, content, leavesOf } from '../unit/bittorrent/support.ts';
import type { Target } from './harness.ts';

const folder = build(
  'folder',
  16384,
  [
    { path: ['a'], size: 40_000 },
    { path: ['é', 'b'], size: 5 },
    { path: ['é', 'empty'], size: 0 },
  ],
  false,
);
const single = build('file', 32768, [{ path: ['file'], size: 70_000 }], true);

/** `accepted` has no more to say than that nothing but PeerwireError came out. */
const bencode: Target = {
  samples: [
    encode({ a: [1, -2, { b: 'text' }], c: Buffer.from([0, 255]) }),
    encode([[[]], {}, 0, '']),
    folder.info.bytes,
  ],
  run(input) {
    rawFieldIsConsistent(input);
    const { value, end } = decodePrefix(input);
    assert.deepEqual(encode(value), input.subarray(0, end));
    decode(input);
  },
};

function rawFieldIsConsistent(input: Buffer): void {
  let raw: Buffer | undefined;
  try {
    raw = rawField(input, 'a');
  } catch (error) {
    assert.ok(error instanceof PeerwireError);
    return;
  }
  if (raw) assert.deepEqual(encode(decode(raw)), raw);
}

function checkInfo(info: Info): void {
  let size = 0;
  let pieces = 0;
  for (const file of info.files) {
    assert.equal(file.firstPiece, pieces);
    assert.equal(file.root === undefined, file.length === 0);
    pieces += file.pieceCount;
    size += file.length;
    const relative = [info.name, ...file.path];
    assert.equal(path.posix.join('/root', ...relative), `/root/${relative.join('/')}`);
    assert.equal(path.win32.resolve('C:\\root', ...relative), `C:\\root\\${relative.join('\\')}`);
    if (file.pieceCount > 0) {
      const last = pieceAt(info, pieces - 1);
      assert.equal(last.file, file);
      assert.equal(last.offset + last.length, file.length);
    }
  }
  assert.deepEqual([size, pieces], [info.size, info.pieceCount]);
}

const info: Target = {
  samples: [folder.info.bytes, single.info.bytes],
  run(input) {
    const parsed = parseInfo(input);
    assert.deepEqual(parsed.bytes, input);
    checkInfo(parsed);
  },
};

const torrent: Target = {
  samples: [
    encodeTorrent(folder.info, folder.layers),
    encodeTorrent(single.info, single.layers, { trackers: ['http://a.test/announce', 'udp://b.test:1'] }),
  ],
  run(input) {
    const read = decodeTorrent(input);
    checkInfo(read.info);
    assert.deepEqual(decodeTorrent(encodeTorrent(read.info, read.layers)), read);
    for (let piece = 0; piece < Math.min(100, read.info.pieceCount); piece++) {
      assert.equal(pieceHash(read.info, read.layers, piece)?.length, 32);
    }
  },
};

const hashFields = { root: Buffer.alloc(32, 1), base: 0, index: 2, length: 2, proofLayers: 1 };
const messages: Message[] = [
  { type: 'keep-alive' },
  { type: 'unchoke' },
  { type: 'have', piece: 3 },
  { type: 'bitfield', bits: Buffer.from([255, 1]) },
  { type: 'request', piece: 1, begin: 0, length: 16384 },
  { type: 'hash-request', ...hashFields },
  { type: 'hashes', ...hashFields, hashes: Buffer.alloc(96, 2) },
  { type: 'extended', id: 1, payload: Buffer.from('de') },
];
const block = Buffer.concat([encodeBlockHeader(5, 16384, 300), content('fuzz', 300)]);

const wire: Target = {
  samples: [
    Buffer.concat(messages.map(encodeMessage)),
    Buffer.concat([block, encodeMessage({ type: 'choke' }), block]),
  ],
  run(input) {
    const whole = transcript([input]);
    // Cut where the input itself says, so that a failure can be repeated.
    const parts: Buffer[] = [];
    for (let at = 0; at < input.length; ) {
      const size = (1 + ((input[at] ?? 0) % 23)) * (input.length > 2000 ? 50 : 1);
      parts.push(input.subarray(at, at + size));
      at += size;
    }
    assert.deepEqual(transcript(parts).events, whole.events);
    if (whole.error) throw whole.error;
  },
};

/** Everything that the decoder says about a stream, and the error that ended it. */
function transcript(parts: readonly Buffer[]): { events: unknown[]; error: PeerwireError | undefined } {
  const events: unknown[] = [];
  let target: Buffer | undefined;
  const decoder = new WireDecoder({
    onMessage: (message) => {
      assert.equal(decodedAgain(message), true);
      events.push(message);
    },
    onBlockStart: (piece, begin, length) => {
      assert.ok(length >= 1 && length <= 16384);
      target = piece % 3 === 0 ? undefined : Buffer.alloc(length);
      events.push(['start', piece, begin, length]);
      return target;
    },
    onBlockEnd: (piece, begin, length) => events.push(['end', piece, begin, length, target]),
  });
  try {
    for (const part of parts) decoder.push(part);
  } catch (error) {
    if (!(error instanceof PeerwireError)) throw error;
    return { events: [...events, error.code], error };
  }
  return { events, error: undefined };
}

function decodedAgain(message: Message): boolean {
  let same = false;
  const decoder = new WireDecoder({
    onMessage: (again) => {
      assert.deepEqual(again, message);
      same = true;
    },
    onBlockStart: () => undefined,
    onBlockEnd: () => undefined,
  });
  decoder.push(encodeMessage(message));
  return same;
}

const handshake: Target = {
  samples: [encodeHandshake({ infoHash: Buffer.alloc(20, 1), peerId: Buffer.alloc(20, 2) })],
  run(input) {
    const read = decodeHandshake(input);
    assert.deepEqual(decodeHandshake(encodeHandshake(read)), { ...read, extended: true, fast: true, v2: true });
  },
};

const extended: Target = {
  samples: [
    encodeExtendedHandshake({
      m: { ut_metadata: 1, ut_pex: 2, pw_catalogue: 3 },
      p: 6881,
      v: 'Peerwire 0.1',
      reqq: 2048,
      metadata_size: 31235,
      pw_block: 262144,
      pw_run: 1,
      extra: new Map([['instance', Buffer.alloc(8)]]),
    }),
    Buffer.from('de'),
  ],
  run(input) {
    const read = decodeExtendedHandshake(input);
    assert.deepEqual(decodeExtendedHandshake(encodeExtendedHandshake(read)), read);
  },
};

const metadata: Target = {
  samples: [
    encodeMetadataMessage({ type: 'request', piece: 1 }),
    encodeMetadataMessage({ type: 'reject', piece: 2 }),
    encodeMetadataMessage({ type: 'data', piece: 0, totalSize: 40, data: content('x', 40) }),
  ],
  run(input) {
    const message = decodeMetadataMessage(input);
    if (message) assert.deepEqual(decodeMetadataMessage(encodeMetadataMessage(message)), message);
  },
};

const pex: Target = {
  samples: [
    encodePex({
      added: [
        { host: '10.0.0.1', port: 6881, flags: 2 },
        { host: '2001:db8::1', port: 65535, flags: 0 },
      ],
      dropped: [
        { host: '10.0.0.2', port: 6882 },
        { host: 'fe80::2', port: 6883 },
      ],
    }),
  ],
  run(input) {
    const read = decodePex(input);
    assert.ok(read.added.length <= 50 && read.dropped.length <= 50);
    const again = decodePex(encodePex(read));
    // An IPv4 address written as IPv6 changes its place, so order is not compared.
    const sorted = (peers: readonly object[]): string[] => peers.map((peer) => JSON.stringify(peer)).sort();
    assert.deepEqual(sorted(again.added), sorted(read.added));
    assert.deepEqual(sorted(again.dropped), sorted(read.dropped));
  },
};

const ip: Target = {
  samples: ['1.2.3.4', '2001:db8::1:0:0:1', '::ffff:1.2.3.4', '64:ff9b::1.2.3.4'].map((text) => Buffer.from(text)),
  run(input) {
    const bytes = parseIp(input.toString('latin1'));
    if (!bytes) throw new PeerwireError('bad-encoding', 'no address');
    assert.deepEqual(parseIp(formatIp(bytes)), bytes);
  },
};

/** One path a line, components separated by slashes. */
const paths: Target = {
  samples: [
    Buffer.from('README.md\nsrc/main.ts\nsrc/a/b.ts'),
    Buffer.from('straße\nÜmlaut/é.txt\n日本語/😀.png\n.gitignore'),
    Buffer.from('com\nconsole.log\nx~y\n a/..b'),
  ],
  run(input) {
    const tree = input
      .toString()
      .split('\n')
      .map((line) => line.split('/'));
    const escaped = escapeName(input.toString());
    assert.ok(!/[\p{Cc}\u202a-\u202e\u2066-\u2069]/u.test(escaped));
    checkTree(tree);
    assert.equal(new Set(tree.map((one) => one.map(foldName).join('/'))).size, tree.length);
    for (const one of tree) {
      assert.equal(path.posix.resolve('/root', ...one), `/root/${one.join('/')}`);
      assert.equal(path.win32.resolve('C:\\root', ...one), `C:\\root\\${one.join('\\')}`);
    }
  },
};

const fileBlocks = 21;
const leaves = leavesOf(content('hashes', 1000)); // Only their number matters below, not what they are.
const layer = Buffer.concat(Array.from({ length: fileBlocks }, () => leaves.subarray(0, 32)));
const wholeTree = new HashTree(layer, 0, fileBlocks);
const treeRoot = Buffer.from(single.info.files[0]?.root ?? []);

/** Four bytes each: base, index, length, proof layers; then an answer. */
const hashes: Target = {
  samples: [
    [0, 0, 32, 4],
    [0, 4, 4, 4],
    [2, 2, 2, 2],
    [1, 8, 8, 3],
  ].map((numbers) => Buffer.concat([...numbers.map((number) => Buffer.of(0, 0, 0, number)), layer.subarray(0, 96)])),
  run(input) {
    if (input.length < 16) throw new PeerwireError('protocol', 'too short');
    const [base = 0, index = 0, length = 0, proofLayers = 0] = [0, 4, 8, 12].map((at) => input.readUInt32BE(at));
    const request = { root: treeRoot, base, index, length, proofLayers };
    assert.equal(verifyHashes(treeRoot, fileBlocks, request, input.subarray(16)), false, 'no answer has this root');
    const answer = wholeTree.hashes(request);
    assert.deepEqual(hashesFor(layer, 0, fileBlocks, request), answer);
    wholeTree.hashesInPiece(0, layer.subarray(0, 32), request);
    if (!answer) throw new PeerwireError('protocol', 'rejected');
    assert.ok(answer.length >= length * 32 && answer.length <= (length + proofLayersFor(fileBlocks, 0) + 1) * 32);
  },
};

export const targets = { bencode, info, torrent, wire, handshake, extended, metadata, pex, ip, paths, hashes };
