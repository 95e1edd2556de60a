import type { InfoHash } from '../common/ids.ts';

export interface FileEntry {
  readonly path: readonly string[];
  readonly length: number;
  readonly root: Buffer | undefined;
  readonly firstPiece: number;
  readonly pieceCount: number;
}
export interface Info {
  readonly name: string;
  readonly pieceLength: number;
  readonly files: readonly FileEntry[];
  readonly size: number;
  readonly pieceCount: number;
  readonly single: boolean;
  readonly infoHash: InfoHash;
  readonly bytes: Buffer;
}
export interface NewFile {
  readonly path: readonly string[];
  readonly length: number;
  readonly root: Uint8Array | undefined;
}
export interface NewInfo {
  readonly name: string;
  readonly pieceLength: number;
  readonly files: readonly NewFile[];
  readonly single: boolean;
  readonly private?: boolean;
}
export interface PieceLocation {
  readonly file: FileEntry;
  readonly fileIndex: number;
  readonly offset: number;
  readonly length: number;
}
export type PieceLayers = ReadonlyMap<string, Buffer>;
const later = (): never => {
  throw new Error('not written yet');
};
export const parseInfo: (bytes: Uint8Array) => Info = later;
export const createInfo: (options: NewInfo) => Info = later;
/** BEP 52 file order: sort your files with it and file i is info.files[i]. */
export const compareTreePaths: (a: readonly string[], b: readonly string[]) => number = later;
export const choosePieceLength: (totalSize: number) => number = later;
export const pieceAt: (info: Info, index: number) => PieceLocation = later;
export const verifyPieceLayers: (info: Info, layers: PieceLayers) => void = later;
export const pieceHash: (info: Info, layers: PieceLayers, index: number) => Buffer | undefined = later;
export const encodeTorrent: (info: Info, layers: PieceLayers, options?: { trackers?: readonly string[] }) => Buffer = later;
export const decodeTorrent: (bytes: Uint8Array) => { info: Info; layers: PieceLayers } = later;
