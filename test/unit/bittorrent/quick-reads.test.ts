import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';

import { isLocal, QuickReads } from '../../../src/bittorrent/quick-reads.ts';
import { useTempDir } from '../temp-dir.ts';

const MIB = 1024 * 1024;

describe('quick reads', () => {
  const temp = useTempDir();
  let time: number;
  let fromDisks: () => number | undefined;
  let reads: QuickReads;
  beforeEach(() => {
    time = 1000;
    let bytes = 0;
    fromDisks = () => bytes++;
    reads = new QuickReads(
      () => time,
      () => fromDisks(),
    );
  });

  /** Slow reads until they are no longer allowed; returns how many. */
  function slowDown(): number {
    let count = 0;
    while (reads.allowed && count < 1000) {
      reads.took(5, MIB);
      count++;
    }
    return count;
  }

  /** Milliseconds until they are allowed again. */
  function pause(): number {
    const started = time;
    while (!reads.allowed) time += 10;
    return time - started;
  }

  it('read what is there, and say how much', () => {
    const file = temp.file('file', 'content');
    const descriptor = openSync(file, 'r');
    const view = Buffer.alloc(10);
    assert.equal(reads.read(descriptor, 3, [view.subarray(0, 2), view.subarray(2)]), 4);
    assert.equal(view.toString('utf8', 0, 4), 'tent');
    closeSync(descriptor);
  });

  it('are left to other threads for a while when several in a row were slow', () => {
    assert.ok(slowDown() <= 10);
    assert.ok(pause() >= 200);
  });

  it('are left to other threads after one that took very long', () => {
    reads.took(100, MIB);
    assert.equal(reads.allowed, false);
  });

  it('go on when some are slow', () => {
    for (let turn = 0; turn < 10_000; turn++) reads.took(turn % 3 === 0 ? 5 : 0.3, MIB);
    assert.equal(reads.allowed, true);
  });

  it('go on however slow they are while nothing is read from a disk: others had the processor', () => {
    fromDisks = () => 0;
    for (let turn = 0; turn < 1000; turn++) reads.took(turn % 10 === 0 ? 100 : 5, MIB);
    assert.equal(reads.allowed, true);
    fromDisks = () => 4096;
    reads.took(100, MIB);
    assert.equal(reads.allowed, false);
  });

  it('are judged by their time alone where nobody tells what was read from disks', () => {
    fromDisks = () => undefined;
    assert.ok(slowDown() <= 10);
  });

  it('know what this process read from disks', function () {
    if (process.platform !== 'linux') this.skip();
    // From memory: this file was just loaded.
    const here = new QuickReads(() => time);
    for (let turn = 0; turn < 100; turn++) here.took(5, MIB);
    assert.equal(here.allowed, true);
  });

  it('may take longer when there is more to read', () => {
    for (let turn = 0; turn < 100; turn++) reads.took(3, 4 * MIB);
    assert.equal(reads.allowed, true);
  });

  it('are tried again less and less often on a slow disk, and often once it is quick', () => {
    const pauses: number[] = [];
    for (let turn = 0; turn < 12; turn++) {
      slowDown();
      pauses.push(pause());
    }
    assert.deepEqual(pauses.slice(0, 4), [250, 500, 1000, 2000]);
    assert.equal(pauses.at(-1), 60_000);
    for (let turn = 0; turn < 300; turn++) reads.took(0.3, MIB);
    slowDown();
    assert.equal(pause(), 250);
  });
});

describe('a local disk', () => {
  it('is told from other file systems', async function () {
    if (process.platform !== 'linux') this.skip();
    // The kernel's memory is no disk that we know; these devices do not exist, so nobody else asks about them.
    assert.equal(await isLocal('/proc', 1n << 60n), false);
    assert.equal(await isLocal('/no/such/place', (1n << 60n) + 1n), false);
    assert.equal(await isLocal('/dev/shm', (1n << 60n) + 2n), true);
  });
});
