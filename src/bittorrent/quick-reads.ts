import { readFileSync, readvSync } from 'node:fs';
import { statfs } from 'node:fs/promises';

/**
 * statfs(2) types of Linux file systems that live on this machine: ext2 to 4, XFS, Btrfs, tmpfs, overlay, F2FS, ZFS. A network
 * or a user's process behind a file system could hold us up for ever.
 */
const LOCAL_TYPES = new Set([0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1]);

/** A read that takes longer, in ms per started MiB, came from a disk and not from memory; or others had the processor. */
const QUICK = 1;
/** So many more slow reads than quick ones are no accident. */
const MOST_SLOW = 8;
/** One read that took this long, in ms, is enough. */
const TOO_LONG = 30;
/** Milliseconds without such reads after the first time they proved slow; doubled each time up to the longest. */
const FIRST_PAUSE = 250;
const LONGEST_PAUSE = 60_000;
/** So many quick reads in a row, and slowness is forgotten. */
const GOOD_RUN = 256;

const MIB = 1024 * 1024;

/**
 * Reads that this thread does itself, because the operating system has the bytes in memory: that takes a third of a millisecond
 * per MiB. Handing a read to another thread and being woken by it costs as much again, and the bytes arrive in the cache of
 * another core. Disks that are slow are found out, and left to other threads.
 */
export class QuickReads {
  readonly #now: () => number;
  readonly #readFromDisks: () => number | undefined;
  /** What that was when it was last asked. */
  #fromDisks: number | undefined;
  #slow = 0;
  #goodRun = 0;
  #pause = FIRST_PAUSE;
  #pausedUntil = 0;

  /** `now`: a monotonic clock, ms. `readFromDisks`: bytes that this process has had to wait for so far, if that is known. */
  constructor(now: () => number = () => performance.now(), readFromDisks = bytesFromDisks) {
    this.#now = now;
    this.#readFromDisks = readFromDisks;
    this.#fromDisks = readFromDisks();
  }

  /** Reads were quick lately. */
  get allowed(): boolean {
    return this.#pausedUntil === 0 || this.#now() >= this.#pausedUntil;
  }

  /** Fills the views from there on and returns how many bytes there were. Throws the system's error. */
  read(descriptor: number, position: number, views: readonly Uint8Array[]): number {
    const started = this.#now();
    const bytes = readvSync(descriptor, views, position);
    this.took(this.#now() - started, bytes);
    return bytes;
  }

  /** Judges by a read of so many bytes that took this long, in ms. */
  took(time: number, bytes: number): void {
    if (time <= QUICK * Math.max(1, Math.ceil(bytes / MIB))) {
      if (this.#slow > 0) this.#slow--;
      this.#goodRun++;
      if (this.#goodRun >= GOOD_RUN) this.#pause = FIRST_PAUSE;
      return;
    }
    const fromDisks = this.#readFromDisks();
    // No disk was touched since: others had the processor.
    if (fromDisks !== undefined && fromDisks === this.#fromDisks) return;
    this.#fromDisks = fromDisks;
    this.#goodRun = 0;
    this.#slow++;
    if (this.#slow < MOST_SLOW && time < TOO_LONG) return;
    this.#slow = 0;
    this.#pausedUntil = this.#now() + this.#pause;
    this.#pause = Math.min(LONGEST_PAUSE, this.#pause * 2);
  }
}

/** Bytes that this process has had read from disks so far, by any of its threads (proc(5)); undefined where that is not known. */
function bytesFromDisks(): number | undefined {
  try {
    const [, bytes] = /^read_bytes: (\d+)$/m.exec(readFileSync('/proc/self/io', 'latin1')) ?? [];
    return bytes === undefined ? undefined : Number(bytes);
  } catch {
    return undefined;
  }
}

const known = new Map<bigint, Promise<boolean>>();

/** Whether a file lies on a disk of this machine, as far as we can tell. `device`: of its stat; asked once for each. */
export function isLocal(path: string, device: bigint): Promise<boolean> {
  // Elsewhere types are numbered otherwise, or not at all.
  if (process.platform !== 'linux') return Promise.resolve(false);
  let answer = known.get(device);
  if (!answer) {
    answer = statfs(path).then(
      ({ type }) => LOCAL_TYPES.has(type),
      () => false,
    );
    known.set(device, answer);
  }
  return answer;
}
