import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { BLOCK_SIZE, fileRoot, pieceRoot, sha256 } from '../../../src/bittorrent/merkle.ts';
import { createInfo, type Info, type PieceLayers } from '../../../src/bittorrent/metainfo.ts';
import type { ErrorCode } from '../../../src/common/errors.ts';
import { PeerwireError } from '../../../src/common/errors.ts';

/** Asserts that `run` throws a PeerwireError with this code and, if given, a message that matches. */
export function throwsCode(run: () => unknown, code: ErrorCode, message?: RegExp): void {
  assert.throws(run, (error: unknown) => {
    assert.ok(error instanceof PeerwireError, `not a PeerwireError: ${String(error)}`);
    assert.equal(error.code, code, error.message);
    if (message) assert.match(error.message, message);
    return true;
  });
}

/** Reproducible bytes; libtorrent-torrents.py makes the same. */
export function content(seed: string, size: number): Buffer {
  const blocks: Buffer[] = [];
  for (let block = 0; block * 32 < size; block++) {
    blocks.push(createHash('sha256').update(`${seed}:${block}`).digest());
  }
  return Buffer.concat(blocks).subarray(0, size);
}

export interface ContentFile {
  readonly path: readonly string[];
  readonly size: number;
}

export const contentOf = (file: ContentFile): Buffer => content(file.path.join('/'), file.size);

export interface Built {
  readonly info: Info;
  readonly layers: PieceLayers;
}

/** A torrent of generated content, made with our own functions. */
export function build(name: string, pieceLength: number, files: readonly ContentFile[], single: boolean): Built {
  const layers = new Map<string, Buffer>();
  const hashed = files.map((file) => {
    const leaves = leavesOf(contentOf(file));
    const root = file.size === 0 ? undefined : fileRoot(leaves);
    if (root && file.size > pieceLength) {
      const perPiece = (pieceLength / BLOCK_SIZE) * 32;
      const layer: Buffer[] = [];
      for (let at = 0; at < leaves.length; at += perPiece) {
        layer.push(pieceRoot(leaves.subarray(at, at + perPiece), pieceLength, leaves.length / 32));
      }
      layers.set(root.toString('hex'), Buffer.concat(layer));
    }
    return { path: file.path, length: file.size, root };
  });
  return { info: createInfo({ name, pieceLength, files: hashed, single }), layers };
}

/** Leaf hashes of content. */
export function leavesOf(bytes: Buffer): Buffer {
  const leaves: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += BLOCK_SIZE) leaves.push(sha256(bytes.subarray(at, at + BLOCK_SIZE)));
  return Buffer.concat(leaves);
}

export interface Golden {
  /** File name in fixtures/, without its extension. */
  readonly fixture: string;
  readonly name: string;
  readonly pieceLength: number;
  readonly files: readonly ContentFile[];
  readonly single: boolean;
}

/** The torrents that libtorrent made for fixtures/ and makes again in the interop suite. */
export const GOLDEN: readonly Golden[] = [
  ...[1, 16383, 16384, 16385, 65536, 65537, 300_000].map((size) => ({
    fixture: `file-${size}`,
    name: `file-${size}.bin`,
    pieceLength: 65536,
    files: [{ path: [`file-${size}.bin`], size }],
    single: true,
  })),
  {
    fixture: 'non-ascii',
    name: 'ünïcode ファイル.txt',
    pieceLength: 16384,
    files: [{ path: ['ünïcode ファイル.txt'], size: 100_000 }],
    single: true,
  },
  {
    fixture: 'folder',
    name: 'folder',
    pieceLength: 32768,
    files: [
      { path: ['zero'], size: 0 },
      { path: ['one'], size: 1 },
      { path: ['a'], size: 16383 },
      { path: ['a.b'], size: 16384 },
      { path: ['a-', 'deep', 'er', 'file'], size: 16385 },
      { path: ['Z'], size: 32768 },
      { path: ['sub', 'Ελληνικά', '日本語.md'], size: 200_000 },
      { path: ['sub', '😀'], size: 32769 },
      { path: ['sub', '\uff5e'], size: 5 },
      { path: ['sub', 'empty'], size: 0 },
    ],
    single: false,
  },
];

export function fixtureFile(fixture: string): string {
  return path.join(import.meta.dirname, 'fixtures', `${fixture}.torrent`);
}
