import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { type Encodable, encode } from '../../../src/bittorrent/bencode.ts';
import { compareTreePaths } from '../../../src/bittorrent/file-tree.ts';
import { sha256 } from '../../../src/bittorrent/merkle.ts';
import {
  choosePieceLength,
  createInfo,
  decodeTorrent,
  encodeTorrent,
  MAX_PIECE_LENGTH,
  parseInfo,
  pieceAt,
  pieceHash,
  verifyPieceLayers,
} from '../../../src/bittorrent/metainfo.ts';
import type { ErrorCode } from '../../../src/common/errors.ts';
import { build, contentOf, fixtureFile, GOLDEN, leavesOf, throwsCode } from './support.ts';

const KIB = 1024;
const root = (seed: number): Buffer => sha256(Buffer.from([seed]));
/** Of different seeds different, but for their first bytes. */
const alike = (seed: number): Buffer => Buffer.concat([Buffer.alloc(8, 1), root(seed).subarray(8)]);

type Dict = { [key: string]: Encodable | undefined };

const leaf = (length: Encodable, pieces?: Encodable, more: Dict = {}): Encodable => ({
  '': { length, 'pieces root': pieces, ...more },
});

/** A good folder, with changes. */
function infoWith(changes: Dict): Buffer {
  return encode({
    'file tree': { a: leaf(5, root(1)), b: { c: leaf(0) } },
    'meta version': 2,
    name: 'folder',
    'piece length': 16 * KIB,
    ...changes,
  });
}

const tree = (files: Encodable): Buffer => infoWith({ 'file tree': files });

describe('metainfo', () => {
  describe('torrents that libtorrent made', () => {
    for (const golden of GOLDEN) {
      it(golden.fixture, () => {
        const fixture = readFileSync(fixtureFile(golden.fixture));
        const { info, layers } = decodeTorrent(fixture);
        const ours = build(golden.name, golden.pieceLength, golden.files, golden.single);
        assert.deepEqual(info, ours.info);
        assert.deepEqual(layers, new Map([...ours.layers].sort()));
        assert.deepEqual(encodeTorrent(ours.info, ours.layers), fixture);

        assert.equal(info.single, golden.single);
        assert.equal(
          info.size,
          golden.files.reduce((sum, file) => sum + file.size, 0),
        );
        const sorted = [...golden.files].sort((a, b) => compareTreePaths(a.path, b.path));
        assert.deepEqual(
          info.files.map((file) => file.path),
          sorted.map((file) => file.path),
        );

        // Every piece is where pieceAt says, with the hash that pieceHash says.
        let next = 0;
        for (const [fileIndex, file] of info.files.entries()) {
          assert.equal(file.firstPiece, next);
          const content = contentOf(sorted[fileIndex]!);
          for (let offset = 0; offset < file.length; offset += info.pieceLength) {
            const piece = content.subarray(offset, offset + info.pieceLength);
            const location = pieceAt(info, next);
            assert.deepEqual(location, { file, fileIndex, offset, length: piece.length });
            const expected = pieceHash(info, layers, next);
            const leaves = leavesOf(piece);
            const width =
              file.pieceCount > 1 ? info.pieceLength / 16384 : 2 ** Math.ceil(Math.log2(leaves.length / 32));
            assert.deepEqual(naiveRoot(leaves, width), expected);
            next++;
          }
        }
        assert.equal(next, info.pieceCount);
        assert.throws(() => pieceAt(info, next), RangeError);
        assert.throws(() => pieceAt(info, -1), RangeError);
        assert.throws(() => pieceAt(info, 0.5), RangeError);
      });
    }
  });

  describe('parseInfo', () => {
    it('reads a good folder', () => {
      const bytes = infoWith({});
      const info = parseInfo(bytes);
      assert.deepEqual(info, {
        name: 'folder',
        pieceLength: 16 * KIB,
        files: [
          { path: ['a'], length: 5, root: root(1), firstPiece: 0, pieceCount: 1 },
          { path: ['b', 'c'], length: 0, root: undefined, firstPiece: 1, pieceCount: 0 },
        ],
        size: 5,
        pieceCount: 1,
        single: false,
        infoHash: sha256(bytes).toString('hex'),
        bytes,
      });
    });

    it('takes files whose roots only begin alike, and equal ones', () => {
      const files = { a: leaf(5, alike(1)), b: leaf(6, alike(2)), c: leaf(7, alike(3)), d: leaf(6, alike(2)) };
      assert.deepEqual(
        parseInfo(tree(files)).files.map(({ length }) => length),
        [5, 6, 7, 6],
      );
    });

    it('keeps nothing of the memory that it was given', () => {
      const bytes = infoWith({});
      const info = parseInfo(bytes);
      bytes.fill(0);
      assert.deepEqual(info.bytes, infoWith({}));
      assert.deepEqual(info.files[0]?.root, root(1));
    });

    const accepted: [string, Buffer][] = [
      ['unknown keys anywhere', infoWith({ zzz: [1], 'file tree': { a: leaf(5, root(1), { mtime: 1, zzz: {} }) } })],
      ['executable and hidden files', tree({ a: leaf(5, root(1), { attr: 'xh' }) })],
      ['a private torrent', infoWith({ private: 1 })],
      ['only empty files', tree({ a: leaf(0) })],
      ['equal files', tree({ a: leaf(5, root(1)), b: leaf(5, root(1)) })],
      ['the largest pieces', infoWith({ 'piece length': MAX_PIECE_LENGTH })],
      ['the most pieces', tree({ a: leaf(2_097_152 * 16 * KIB, root(1)) })],
    ];
    for (const [name, bytes] of accepted) it(`accepts ${name}`, () => assert.ok(parseInfo(bytes)));

    /** Names in quotes are those of libtorrent's test_torrents, whose faults these have. */
    const refused: [string, Buffer, ErrorCode, RegExp][] = [
      ['what is not bencoded', Buffer.from('x'), 'bad-metainfo', /malformed/],
      ['what is not a dictionary', Buffer.from('le'), 'bad-metainfo', /dictionary/],
      ['version 1', infoWith({ 'meta version': 1 }), 'bad-metainfo', /version 2/],
      ['version 3', infoWith({ 'meta version': 3 }), 'bad-metainfo', /version 2/],
      ['no version', infoWith({ 'meta version': undefined }), 'bad-metainfo', /version 2/],
      ['version as text', infoWith({ 'meta version': '2' }), 'bad-metainfo', /version 2/],
      ['v2_mismatching_metadata: a hybrid', infoWith({ files: [], pieces: '' }), 'bad-metainfo', /hybrid/],
      ['files of version 1', infoWith({ files: [] }), 'bad-metainfo', /hybrid/],
      ['pieces of version 1', infoWith({ pieces: '' }), 'bad-metainfo', /hybrid/],
      ['a length of version 1', infoWith({ length: 5 }), 'bad-metainfo', /hybrid/],
      ['v2_bad_file_alignment: a hybrid', infoWith({ length: 5, pieces: '' }), 'bad-metainfo', /hybrid/],
      ['v2_no_power2_piece', infoWith({ 'piece length': 16 * KIB + 1 }), 'bad-metainfo', /power of two/],
      ['v2_piece_size: below 16 KiB', infoWith({ 'piece length': 8 * KIB }), 'bad-metainfo', /power of two/],
      ['piece length 0', infoWith({ 'piece length': 0 }), 'bad-metainfo', /power of two/],
      ['negative piece length', infoWith({ 'piece length': -16 * KIB }), 'bad-metainfo', /power of two/],
      ['huge piece length', infoWith({ 'piece length': 2 ** 40 }), 'bad-metainfo', /power of two/],
      ['no piece length', infoWith({ 'piece length': undefined }), 'bad-metainfo', /malformed/],
      ['no name', infoWith({ name: undefined }), 'bad-metainfo', /malformed/],
      ['a name that is no UTF-8', infoWith({ name: Buffer.from([0xff]) }), 'bad-metainfo', /UTF-8/],
      ['a name that leaves the folder', infoWith({ name: '..' }), 'unsafe-path', /another folder/],
      ['no file tree', infoWith({ 'file tree': undefined }), 'bad-metainfo', /malformed/],
      ['no_files', tree({}), 'bad-metainfo', /empty folder/],
      ['a root that is a file', tree({ '': { length: 0 } }), 'bad-metainfo', /root/],
      ['v2_invalid_file: not a dictionary', tree({ a: 'x' }), 'bad-metainfo', /malformed/],
      ['properties that are no dictionary', tree({ a: { '': 1 } }), 'bad-metainfo', /malformed/],
      ['an empty folder', tree({ a: leaf(5, root(1)), b: {} }), 'bad-metainfo', /empty folder/],
      ['both file and folder', tree({ a: { '': { length: 0 }, b: leaf(0) } }), 'bad-metainfo', /both/],
      ['v2_deep_recursion', tree(nested(1000)), 'bad-metainfo', /nested/],
      ['v2_deep_recursion, just over', tree(nested(65)), 'unsafe-path', /64 levels/],
      ['v2_empty_filename', tree({ a: { b: { '': { length: 0 }, c: leaf(0) } } }), 'bad-metainfo', /both/],
      ['v2_invalid_pad_file', tree({ a: leaf(5, root(1), { attr: 'p' }) }), 'bad-metainfo', /padding/],
      ['invalid_symlink', tree({ a: leaf(5, root(1), { attr: 'l', 'symlink path': ['b'] }) }), 'bad-metainfo', /link/],
      ['overlapping_symlinks', tree({ a: leaf(0, undefined, { attr: 'xl' }) }), 'bad-metainfo', /link/],
      [
        'v2_missing_file_root_invalid_symlink',
        tree({ a: leaf(5, undefined, { 'symlink path': ['..'] }) }),
        'bad-metainfo',
        /link/,
      ],
      ['v2_large_file', tree({ a: leaf(2 ** 52, root(1)) }), 'bad-metainfo', /pieces/],
      ['invalid_file_size: beyond 2^53', overlong('9007199254740992'), 'bad-metainfo', /out of range/],
      ['v2_overlong_integer', overlong('1'.repeat(50)), 'bad-metainfo', /out of range/],
      ['an integer with a leading zero', overlong('05'), 'bad-metainfo', /leading zero/],
      [
        'v2_large_offset',
        tree(Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`f${i}`, leaf(2 ** 32, root(1))]))),
        'bad-metainfo',
        /pieces/,
      ],
      ['many_pieces', tree({ a: leaf(2_097_152 * 16 * KIB + 1, root(1)) }), 'bad-metainfo', /pieces/],
      ['negative length', tree({ a: leaf(-1, root(1)) }), 'bad-metainfo', /malformed/],
      ['no length', tree({ a: { '': { 'pieces root': root(1) } } }), 'bad-metainfo', /malformed/],
      ['v2_unordered_files', unordered('a', 'b', 'b', 'a'), 'bad-metainfo', /out of order/],
      ['the same name twice', unordered('a', 'b', 'a', 'a'), 'bad-metainfo', /out of order/],
      ['v2_zero_root', tree({ a: leaf(100_000, Buffer.alloc(32)) }), 'bad-metainfo', /merkle root/],
      ['v2_zero_root_small', tree({ a: leaf(1, Buffer.alloc(32)) }), 'bad-metainfo', /merkle root/],
      ['a file without a root', tree({ a: leaf(1) }), 'bad-metainfo', /merkle root/],
      ['a root of 31 bytes', tree({ a: leaf(1, root(1).subarray(1)) }), 'bad-metainfo', /32 bytes/],
      ['an empty file with a root', tree({ a: leaf(0, root(1)) }), 'bad-metainfo', /merkle root/],
      [
        'one root for two lengths',
        tree({ a: leaf(64, root(1)), b: leaf(32 * KIB, root(1)) }),
        'bad-metainfo',
        /same merkle root/,
      ],
      [
        'one root for two lengths, of several that begin alike',
        tree({ a: leaf(5, alike(1)), b: leaf(6, alike(2)), c: leaf(7, alike(3)), d: leaf(6, alike(3)) }),
        'bad-metainfo',
        /same merkle root/,
      ],
      ['duplicate_files2', tree({ A: leaf(1, root(1)), a: leaf(2, root(2)) }), 'unsafe-path', /same as/],
      ['parent_path', tree({ '..': { x: leaf(1, root(1)) } }), 'unsafe-path', /another folder/],
      ['absolute_filename', tree({ '/etc/passwd': leaf(1, root(1)) }), 'unsafe-path', /reserved/],
      ['backslash_path', tree({ 'a\\b': leaf(1, root(1)) }), 'unsafe-path', /reserved/],
      ['a file name that is no UTF-8', tree(new Map([['\xff', leaf(1, root(1))]])), 'unsafe-path', /Unicode/],
      ['a device name', tree({ 'aux.c': leaf(1, root(1)) }), 'unsafe-path', /device/],
      ['trailing bytes', Buffer.concat([infoWith({}), Buffer.from('e')]), 'bad-metainfo', /follow/],
      ['more than 16 MiB', infoWith({ zzz: Buffer.alloc(16 * KIB * KIB) }), 'bad-metainfo', /larger/],
      [
        'a bomb of small values',
        infoWith({ zzz: Array.from({ length: 1_000_001 }, () => 0) }),
        'bad-metainfo',
        /too many/,
      ],
      ['a bomb of small files', manyFiles(125_001), 'bad-metainfo', /too many/],
      [
        'a wrong tree of another version',
        infoWith({ 'file tree': {}, 'meta version': 3 }),
        'bad-metainfo',
        /version 2/,
      ],
      [
        'a wrong tree before what is malformed',
        Buffer.concat([tree({}).subarray(0, -1), Buffer.from('3:zzzi00ee')]),
        'bad-metainfo',
        /leading zero/,
      ],
      ['a file that ends too early', tree({ a: leaf(5, root(1)) }).subarray(0, 60), 'bad-metainfo', /malformed/],
    ];
    for (const [name, bytes, code, message] of refused) {
      it(`refuses ${name}`, () => throwsCode(() => parseInfo(bytes), code, message));
    }
  });

  describe('createInfo', () => {
    const file = { path: ['x'], length: 5, root: root(1) };

    it('round-trips', () => {
      const component = fc.string({
        minLength: 1,
        maxLength: 3,
        unit: fc.constantFrom('a', 'b', 'é', '-', '.', '😀', '～'),
      });
      const files = fc.uniqueArray(
        fc.record({ path: fc.array(component, { minLength: 1, maxLength: 3 }), length: fc.nat({ max: 100_000 }) }),
        { minLength: 1, maxLength: 8, selector: (entry) => entry.path.join('/') },
      );
      let created = 0;
      fc.assert(
        fc.property(files, (some) => {
          const given = some.map((entry, index) => ({ ...entry, root: entry.length > 0 ? root(index) : undefined }));
          let info: ReturnType<typeof createInfo>;
          try {
            info = createInfo({ name: 'n', pieceLength: 16 * KIB, files: given, single: false });
          } catch (error) {
            throwsCode(() => {
              throw error;
            }, 'unsafe-path');
            return;
          }
          created++;
          assert.deepEqual(parseInfo(info.bytes), info);
          const sorted = [...given].sort((a, b) => compareTreePaths(a.path, b.path));
          assert.deepEqual(
            info.files.map(({ path, length, root }) => ({ path, length, root })),
            sorted,
          );
        }),
      );
      assert.ok(created > 10);
    });

    it('refuses what nobody would decode', () => {
      const deep = (index: number): string[] => Array.from({ length: 60 }, (_, depth) => `${index}.${depth}`);
      const files = (count: number) =>
        Array.from({ length: count }, (_, index) => ({ path: deep(index), length: 0, root: undefined }));
      const create = (count: number) =>
        createInfo({ name: 'n', pieceLength: 16 * KIB, files: files(count), single: false });
      assert.equal(create(7000).files.length, 7000);
      throwsCode(() => create(9000), 'bad-metainfo');
    });

    it('makes a single file', () => {
      const info = createInfo({ name: 'x', pieceLength: 16 * KIB, files: [file], single: true });
      assert.equal(info.single, true);
      assert.deepEqual(info.files[0]?.path, ['x']);
    });

    it('tells a folder with a file of its own name from that file', () => {
      const single = createInfo({ name: 'x', pieceLength: 16 * KIB, files: [file], single: true });
      const folder = createInfo({ name: 'x', pieceLength: 16 * KIB, files: [file], single: false });
      assert.equal(folder.single, false);
      assert.deepEqual(folder.files, single.files);
      assert.notEqual(folder.infoHash, single.infoHash);
    });

    it('makes a folder of one file like anybody', () => {
      const info = createInfo({ name: 'docs', pieceLength: 16 * KIB, files: [file], single: false });
      assert.deepEqual(
        info.bytes,
        encode({ 'file tree': { x: leaf(5, root(1)) }, 'meta version': 2, name: 'docs', 'piece length': 16 * KIB }),
      );
    });

    it('marks private torrents', () => {
      const info = createInfo({ name: 'x', pieceLength: 16 * KIB, files: [file], single: true, private: true });
      assert.match(info.bytes.toString('latin1'), /7:privatei1e/);
    });

    it('refuses what parseInfo would', () => {
      const make = (changes: object): unknown =>
        createInfo({ name: 'x', pieceLength: 16 * KIB, files: [file], single: false, ...changes });
      throwsCode(() => make({ files: [] }), 'bad-metainfo');
      throwsCode(() => make({ name: 'a/b' }), 'unsafe-path');
      throwsCode(() => make({ pieceLength: 1000 }), 'bad-metainfo');
      throwsCode(() => make({ name: 'y', single: true }), 'bad-metainfo', /own name/);
      throwsCode(() => make({ files: [{ ...file, root: undefined }] }), 'bad-metainfo');
      throwsCode(() => make({ files: [file, { ...file, path: ['x', 'y'] }] }), 'unsafe-path');
      throwsCode(() => make({ files: [{ ...file, path: ['..', 'x'] }] }), 'unsafe-path');
    });
  });

  it('compareTreePaths orders by bytes of UTF-8, component by component', () => {
    const sorted = [['Z'], ['a'], ['a', 'b'], ['a', 'b', 'c'], ['a-'], ['a-', 'z'], ['a.b'], ['é'], ['～'], ['😀']];
    const shuffled = [5, 2, 9, 0, 7, 3, 8, 1, 6, 4].map((index) => sorted[index]!);
    assert.deepEqual(shuffled.sort(compareTreePaths), sorted);
    assert.equal(compareTreePaths(['a', 'b'], ['a', 'b']), 0);
  });

  it('choosePieceLength gives some hundred pieces, and up to 2000 large ones, within its bounds', () => {
    const cases: [number, number][] = [
      [0, 64 * KIB],
      [1, 64 * KIB],
      [250 * 64 * KIB, 64 * KIB],
      [250 * 64 * KIB + 1, 128 * KIB],
      [100 * KIB ** 2, 512 * KIB],
      [512 * 512 * KIB, 512 * KIB],
      [512 * KIB ** 2, KIB ** 2],
      [KIB ** 3, 2 * KIB ** 2],
      [2000 * 2 * KIB ** 2, 2 * KIB ** 2],
      [2 ** 33, 4096 * KIB],
      [2 ** 50, 4096 * KIB],
    ];
    for (const [size, length] of cases) assert.equal(choosePieceLength(size), length, `${size} bytes`);
    fc.assert(
      fc.property(fc.integer({ min: 250 * 64 * KIB, max: 2000 * 4096 * KIB }), (size) => {
        const pieces = size / choosePieceLength(size);
        assert.ok(pieces >= 125 && pieces <= 2000);
      }),
    );
  });

  describe('piece layers', () => {
    const { info, layers } = build(
      'layers',
      16 * KIB,
      [
        { path: ['a'], size: 50_000 },
        { path: ['b'], size: 20_000 },
        { path: ['c'], size: 9 },
      ],
      false,
    );
    const [first, second] = [...layers.keys()] as [string, string];
    const changed = (change: (copy: Map<string, Buffer>) => void): Map<string, Buffer> => {
      const copy = new Map(layers);
      change(copy);
      return copy;
    };
    const spoiled = Buffer.from(layers.get(first)!);
    spoiled[40]! ^= 1;

    it('verify', () => verifyPieceLayers(info, layers));

    it('are shared by equal files', () => {
      const twice = createInfo({
        name: 'twice',
        pieceLength: 16 * KIB,
        files: ['x', 'y'].map((name) => ({ path: [name], length: 50_000, root: info.files[0]!.root })),
        single: false,
      });
      const shared = new Map([[first, layers.get(first)!]]);
      verifyPieceLayers(twice, shared);
      assert.deepEqual(pieceHash(twice, shared, 5), pieceHash(twice, shared, 1));
    });

    it('give no hash while unknown, but for files of one piece', () => {
      assert.equal(pieceHash(info, new Map(), 0), undefined);
      assert.deepEqual(pieceHash(info, new Map(), info.pieceCount - 1), info.files[2]!.root);
    });

    const small = info.files[2]!.root!;
    const refused: [string, Map<string, Buffer>, RegExp][] = [
      ['a missing layer', changed((copy) => copy.delete(second)), /missing/],
      ['v2_invalid_piece_layer: wrong hashes', changed((copy) => copy.set(first, spoiled)), /match/],
      [
        'v2_invalid_piece_layer_root: under another root',
        new Map([
          [first, layers.get(second)!],
          [second, layers.get(first)!],
        ]),
        /length/,
      ],
      [
        'v2_invalid_piece_layer_size',
        changed((copy) => copy.set(first, Buffer.concat([layers.get(first)!, small]))),
        /length/,
      ],
      ['v2_non_multiple_piece_layer', changed((copy) => copy.set(first, layers.get(first)!.subarray(1))), /length/],
      ['v2_unknown_piece_layer_entry', changed((copy) => copy.set(root(9).toString('hex'), small)), /no file needs/],
      [
        'v2_piece_layer_invalid_file_hash: one for a small file',
        changed((copy) => copy.set(small.toString('hex'), small)),
        /no file needs/,
      ],
    ];
    for (const [name, wrong, message] of refused) {
      it(`refuse ${name}`, () => {
        throwsCode(() => verifyPieceLayers(info, wrong), 'bad-metainfo', message);
        throwsCode(() => encodeTorrent(info, wrong), 'bad-metainfo', message);
        const raw = new Map([...wrong].map(([key, layer]) => [Buffer.from(key, 'hex').toString('latin1'), layer]));
        throwsCode(() => decodeTorrent(torrent({ 'piece layers': raw })), 'bad-metainfo', message);
      });
    }

    /** A torrent file, put together without our own writer. */
    function torrent(fields: Dict): Buffer {
      const before = encode({ ...fields, 'piece layers': undefined });
      const tail = fields['piece layers'] === undefined ? [] : [encode('piece layers'), encode(fields['piece layers'])];
      return Buffer.concat([before.subarray(0, -1), encode('info'), info.bytes, ...tail, Buffer.from('e')]);
    }

    it('torrent files round-trip, with their trackers', () => {
      const trackers = ['http://one.test/announce', 'udp://two.test:1'];
      const one = encodeTorrent(info, layers, { trackers: trackers.slice(0, 1) });
      assert.deepEqual(decodeTorrent(one), { info, layers });
      assert.match(one.toString('latin1'), /^d8:announce24:http:\/\/one\.test\/announce4:info/);
      const two = encodeTorrent(info, layers, { trackers });
      assert.deepEqual(decodeTorrent(two), { info, layers });
      assert.match(
        two.toString('latin1'),
        /13:announce-listll24:http:\/\/one\.test\/announceel16:udp:\/\/two\.test:1ee/,
      );
    });

    it('torrent files may hold more', () => {
      const raw = new Map([...layers].map(([key, layer]) => [Buffer.from(key, 'hex').toString('latin1'), layer]));
      const bytes = torrent({ comment: 'x', 'created by': 'y', 'piece layers': raw });
      assert.deepEqual(decodeTorrent(bytes), { info, layers });
    });

    const malformed: [string, Buffer, RegExp][] = [
      ['nothing', Buffer.alloc(0), /malformed/],
      ['no info', encode({ 'piece layers': {} }), /malformed/],
      ['no piece layers', torrent({}), /missing/],
      ['piece layers that are no dictionary', torrent({ 'piece layers': [] }), /malformed/],
      ['a layer that is no string', torrent({ 'piece layers': { a: 1 } }), /malformed/],
      ['trailing bytes', Buffer.concat([encodeTorrent(info, layers), Buffer.from('x')]), /malformed/],
    ];
    for (const [name, bytes, message] of malformed) {
      it(`torrent files: refuses ${name}`, () => throwsCode(() => decodeTorrent(bytes), 'bad-metainfo', message));
    }
  });

  it('takes 20,000 files', () => {
    const files = Array.from({ length: 20_000 }, (_, index) => ({
      path: ['packages', `p${index % 100}`, `file-${index}.ts`],
      length: index,
      root: index === 0 ? undefined : sha256(Buffer.from(String(index))),
    }));
    const info = createInfo({ name: 'repo', pieceLength: 64 * KIB, files, single: false });
    assert.equal(info.files.length, 20_000);
    assert.equal(info.pieceCount, 19_999);
    for (const index of [0, 1, 777, 19_998]) {
      const { file } = pieceAt(info, index);
      assert.equal(file.firstPiece, index);
    }
  });
});

/** Nearly the largest that there may be; each file is eight values. */
function manyFiles(count: number): Buffer {
  const files = Array.from({ length: count }, (_, index): [string, Encodable] => [
    String(index).padStart(6, '0'),
    leaf(5, root(1)),
  ]);
  return tree(new Map(files));
}

function nested(depth: number): Encodable {
  let inner = leaf(0);
  for (let level = 1; level < depth; level++) inner = { a: inner };
  return { a: inner };
}

/** Our encoder writes no such integers. */
function overlong(digits: string): Buffer {
  const marker = '4815162342';
  return Buffer.from(
    tree({ a: leaf(Number(marker), root(1)) })
      .toString('latin1')
      .replace(`i${marker}e`, `i${digits}e`),
    'latin1',
  );
}

/** Nor does it write keys in this order: both files are renamed in the encoded bytes. */
function unordered(first: string, second: string, newFirst: string, newSecond: string): Buffer {
  const bytes = tree({ [first]: leaf(0), [second]: leaf(0) }).toString('latin1');
  return Buffer.from(
    bytes.replace(`d1:${first}d0:`, `d1:${newFirst}d0:`).replace(`e1:${second}d0:`, `e1:${newSecond}d0:`),
    'latin1',
  );
}

/** Root of a perfect tree, the missing leaves being zeros. */
function naiveRoot(leaves: Buffer, width: number): Buffer {
  let level = Buffer.concat([leaves, Buffer.alloc(width * 32 - leaves.length)]);
  while (level.length > 32) {
    const above: Buffer[] = [];
    for (let at = 0; at < level.length; at += 64) above.push(sha256(level.subarray(at, at + 64)));
    level = Buffer.concat(above);
  }
  return level;
}
