/** `peerwire read` with real processes: bytes of shares on standard output. */
import assert from 'node:assert/strict';
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { useCli } from './cli-build.ts';
import { addressOf, Stage } from './processes.ts';

const MIB = 2 ** 20;

interface Result {
  readonly code: number | null;
  readonly data: Buffer;
  readonly stderr: string;
}

/** A command whose output is bytes. */
class Reading {
  readonly child: ChildProcessByStdio<null, Readable, Readable>;
  readonly result: Promise<Result>;
  /** Resolves with the first bytes; rejects when it ends without any. */
  readonly begun: Promise<void>;

  constructor(main: string, args: readonly string[]) {
    this.child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    const chunks: Buffer[] = [];
    let stderr = '';
    this.child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    this.child.stderr.on('data', (chunk) => (stderr += String(chunk)));
    this.result = once(this.child, 'close').then(([code]) => ({ code, data: Buffer.concat(chunks), stderr }));
    this.begun = Promise.race([
      once(this.child.stdout, 'data').then(() => undefined),
      this.result.then(({ code }) => Promise.reject(new Error(`It ended with ${code}: ${stderr}`))),
    ]);
    this.begun.catch(() => undefined);
  }
}

describe('peerwire read', function () {
  this.timeout(180_000);
  const cli = useCli();
  let place: Stage;
  let readings: Reading[];

  beforeEach(async () => {
    place = new Stage(cli.main);
    readings = [];
  });
  afterEach(async () => {
    for (const { child } of readings) child.kill('SIGKILL');
    await place.dispose();
  });

  /** A network of these homes, and a file that the first shares. */
  async function shared(size: number, ...homes: string[]): Promise<{ content: Buffer; share: string }> {
    const [first = '', ...others] = homes;
    const { invite } = await place.ok(first, 'network', 'create', 'team');
    for (const home of others) await place.ok(home, 'network', 'join', String(invite));
    const content = randomBytes(size);
    await writeFile(place.path('big.bin'), content);
    const { share } = await place.ok(first, 'share', place.path('big.bin'));
    return { content, share: String(share) };
  }

  function start(home: string, ...args: string[]): Reading {
    const reading = new Reading(cli.main, ['read', '--home', place.path(home), ...args]);
    readings.push(reading);
    return reading;
  }

  async function read(home: string, ...args: string[]): Promise<Result> {
    return await start(home, ...args).result;
  }

  it('writes the bytes asked for and nothing else, with and without a running peer', async () => {
    const { content, share } = await shared(6 * MIB, 'a', 'b');
    const a = await place.peer('a');
    const range = ['--offset', '3000000', '--length', '200000'];
    const alone = await read('b', share, ...range, '--connect', addressOf(a), '--json');
    assert.deepEqual([alone.code, alone.stderr], [0, '']);
    assert.ok(alone.data.equals(content.subarray(3_000_000, 3_200_000)));
    const b = await place.peer('b', '--connect', addressOf(a));
    const running = await read('b', 'big.bin', ...range);
    assert.deepEqual([running.code, running.stderr], [0, '']);
    assert.ok(running.data.equals(alone.data));
    const tail = await read('b', share, '--offset', String(content.length - 7));
    assert.ok(tail.data.equals(content.subarray(-7)));
    assert.equal((await read('b', share, '--offset', String(content.length))).data.length, 0);
    // What is here needs nobody else.
    await a.end();
    assert.ok((await read('b', share, ...range)).data.equals(alone.data));
    const offline = await read('b', share, '--offset', '0', '--length', '1', '--wait', '1', '--json');
    assert.deepEqual([offline.code, offline.data.length], [1, 0]);
    assert.match(offline.stderr, /^peerwire: Nobody who has “big.bin” is online.*\n$/);
    await b.end();
  });

  it('says what is wrong', async () => {
    const { invite } = await place.ok('a', 'network', 'create', 'team');
    assert.ok(invite);
    await mkdir(place.path('folder', 'deep'), { recursive: true });
    await writeFile(place.path('folder', 'deep', 'empty'), '');
    await writeFile(place.path('folder', 'some'), 'some bytes');
    await place.ok('a', 'share', place.path('folder'));
    assert.equal(String((await read('a', 'folder', '--file', 'some', '--offset', '5')).data), 'bytes');
    assert.deepEqual((await read('a', 'folder', '--file', 'deep/empty')).code, 0);
    const failing: [string[], number, RegExp][] = [
      [['folder'], 2, /--file/],
      [['folder', '--file', 'none'], 1, /no file “none”/],
      [['folder', '--file', 'some', '--offset', '11'], 2, /10 bytes/],
      [['folder', '--offset', 'x'], 2, /number of bytes/],
      [['nothing', '--wait', '0'], 1, /No share “nothing”/],
    ];
    for (const [args, code, reason] of failing) {
      const outcome = await read('a', ...args);
      assert.deepEqual([outcome.code, outcome.data.length], [code, 0], outcome.stderr);
      assert.match(outcome.stderr, reason);
    }
  });

  it('streams a whole file, and ends when nobody reads any more', async () => {
    const { content, share } = await shared(48 * MIB, 'a', 'b');
    const a = await place.peer('a');
    await place.peer('b', '--connect', addressOf(a));
    await place.ok('b', 'shares', '--wait', '90');
    const closing = start('b', share);
    await closing.begun;
    closing.child.stdout.destroy();
    const { code, stderr } = await closing.result;
    assert.deepEqual([code, stderr], [0, '']);
    const whole = await read('b', share);
    assert.equal(whole.code, 0, whole.stderr);
    assert.ok(whole.data.equals(content));
    const stopped = start('b', share);
    await stopped.begun;
    stopped.child.kill('SIGINT');
    assert.notEqual((await stopped.result).code, null);
  });

  it('goes on when a source is killed; a get fetches only the rest', async () => {
    const { content, share } = await shared(24 * MIB, 'a', 'b', 'c');
    const a = await place.peer('a');
    const c = await place.peer('c', '--connect', addressOf(a));
    await place.ok('c', 'get', share, '--out', place.path('c-out'));
    await c.end();
    const d = await place.peer('c', '--connect', addressOf(a), '--upload-limit', '4MiB');
    await a.end();
    const slow = await place.peer('a', '--upload-limit', '4MiB', '--connect', addressOf(d));
    await place.peer('b', '--connect', addressOf(slow), '--connect', addressOf(d));
    const reading = start('b', share, '--length', String(16 * MIB));
    await reading.begun;
    await slow.end('SIGKILL');
    const { code, stderr, data } = await reading.result;
    assert.equal(code, 0, stderr);
    assert.ok(data.equals(content.subarray(0, 16 * MIB)));
    const got = await place.ok('b', 'get', share, '--out', place.path('b-out'));
    assert.equal(got.fetched, 8 * MIB);
    assert.ok((await readFile(path.join(place.path('b-out'), 'big.bin'))).equals(content));
  });
});
