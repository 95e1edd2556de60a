import { type BigIntStats, lstatSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import { PeerwireError } from '../common/errors.ts';

declare const brand: unique symbol;

/**
 * What tells one state of a file from another without reading it; compare with `===`. Text, so that it can be stored: size,
 * modification time and change time in ns, inode. Sizes and modification times can be put back to what they were; the change
 * time cannot, short of setting the clock, and another file renamed into the place has another inode.
 */
export type FileStamp = string & { readonly [brand]: 'FileStamp' };

export function stampOf({ size, mtimeNs, ctimeNs, ino }: BigIntStats): FileStamp {
  return `${size}.${mtimeNs}.${ctimeNs}.${ino}` as FileStamp;
}

/** Bytes of the file. */
export function sizeOf(stamp: FileStamp): number {
  return Number.parseInt(stamp, 10);
}

/** Never follows a link. Rejects with the system's error. */
export async function readStamp(path: string): Promise<FileStamp> {
  return stampOf(await lstat(path, { bigint: true }));
}

/** Throws `stale` unless a file still looks as it did. */
export function checkStamp(now: BigIntStats, stamp: FileStamp): void {
  if (stampOf(now) === stamp) return;
  throw new PeerwireError('stale', 'The file changed after it was published.');
}

/** The same by a blocking look at it, which never follows a link. Throws the system's error, too. */
export function checkStampSync(path: string, stamp: FileStamp): void {
  checkStamp(lstatSync(path, { bigint: true }), stamp);
}

/** Ticks of the clock that file times are taken from: 1 to 10 ms on Linux, 16 ms on Windows. */
const TICK = 20;
/** Times without fractions come from a file system that keeps no finer ones (FAT: 2 s). */
const COARSE_TICK = 2_000;
const MS = 1_000_000n;

/**
 * Milliseconds until any further change is sure to show in the stamp; 0 when that is so already. A change within the same
 * tick of the clock as the last one leaves the times as they are, so what is read before that may be stale unseen (Git's
 * "racily clean" entries). `now`: wall time, ms, from before the reading.
 */
export function timeUntilSettled({ mtimeNs, ctimeNs }: BigIntStats, now: number): number {
  const whole = (time: bigint): boolean => time % (1_000n * MS) === 0n;
  const tick = whole(mtimeNs) && whole(ctimeNs) ? COARSE_TICK : TICK;
  const left = Number(ctimeNs / MS) + tick - now;
  // A clock that is ahead (network drives): after one tick without a change it is settled by that clock, too.
  return Math.max(0, Math.min(left, COARSE_TICK));
}
