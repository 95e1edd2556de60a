import { type FileStamp, readStamp } from '../bittorrent/file-stamp.ts';
import type { FileLocation } from '../bittorrent/file-storage.ts';
import type { FileEntry } from '../bittorrent/metainfo.ts';
import type { InfoHash, NetworkId, ShareId } from '../common/ids.ts';
import type { ConflictPolicy } from './api.ts';
import type { TransferSettings } from './transfer-settings.ts';
import type { Unsynced } from './unsynced.ts';

/** A download as stored: enough to go on after a crash at any moment. */
export interface DownloadRecord {
  readonly id: string;
  readonly share: ShareId;
  readonly infohash: InfoHash;
  readonly network: NetworkId;
  readonly name: string;
  readonly destination: string;
  readonly file?: string;
  readonly policy: ConflictPolicy;
  readonly allowRisky: boolean;
  state: 'running' | 'paused' | 'done' | 'failed';
  /** Private directory on the destination's file system. */
  staging?: string;
  path?: string;
  error?: { code: string; message: string };
  fetched: number;
  /** Bytes wanted, once known. */
  size: number;
  /** What the owner's catalogue said. */
  readonly listedSize?: number;
  /** The defaults if absent. */
  settings?: TransferSettings;
  elapsed?: number;
  /** Verified bytes by peer key (device/instance). */
  sources: Record<string, number>;
  /** Files in place that are as they were received, by file index: what is seeded on. */
  placed: Record<number, PlacedCopy>;
  /** Some of them were not synced, and may be damaged if the system stopped soon after. */
  unsynced?: Unsynced;
  /** Not all of what was wanted is in place: there were other files, which were left. */
  partial?: boolean;
  /** Paths of files that were placed and are not as they were received any more, by file index: not seeded. */
  changed?: Record<number, string>;
}

/** A file in place, and what it looked like when its content was known to be right. */
export interface PlacedCopy {
  readonly path: string;
  readonly stamp: FileStamp;
}

export async function isUnchanged({ path, stamp }: PlacedCopy): Promise<boolean> {
  return (await readStamp(path).catch(() => undefined)) === stamp;
}

/** The location of a copy that others may change. */
export function publishedAt({ path, stamp }: PlacedCopy): FileLocation {
  return { kind: 'published', path, stamp };
}

/** Indices of a file's pieces. */
export function piecesOf(file: FileEntry): number[] {
  // By a plain loop: it is asked for each of many files.
  const pieces: number[] = [];
  for (let index = 0; index < file.pieceCount; index++) pieces.push(file.firstPiece + index);
  return pieces;
}
