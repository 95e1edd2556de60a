import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import type { FileStamp } from '../../../../src/bittorrent/file-stamp.ts';
import { PieceJournal } from '../../../../src/peer/piece-journal.ts';
import { StateStore } from '../../../../src/peer/state-store.ts';
import { useTempDir } from '../../temp-dir.ts';
import { Child } from './child.ts';

describe('StateStore', () => {
  const temp = useTempDir();
  const dir = (): string => join(temp.path, 'state');

  it('keeps values, in private files of a private directory', async () => {
    const store = new StateStore(dir());
    assert.equal(await store.readJson('a.json'), undefined);
    assert.deepEqual(await store.list(), []);
    await store.writeJson('a.json', { x: [1, 'ü'] });
    await store.writeBytes('b', Buffer.from([0, 255]));
    const again = new StateStore(dir());
    assert.deepEqual(await again.readJson('a.json'), { x: [1, 'ü'] });
    assert.deepEqual(await again.readBytes('b'), Buffer.from([0, 255]));
    assert.deepEqual(await again.list(), ['a.json', 'b']);
    if (process.platform === 'win32') return;
    assert.equal(statSync(dir()).mode & 0o777, 0o700);
    assert.equal(statSync(join(dir(), 'a.json')).mode & 0o777, 0o600);
  });

  it('writes one name in order, and of what waits only the last', async () => {
    const store = new StateStore(dir());
    const inodes = new Set<number>();
    const writes = Array.from({ length: 50 }, async (_, index) => {
      await store.writeJson('n.json', index);
      inodes.add(statSync(join(dir(), 'n.json')).ino);
      return JSON.parse(readFileSync(join(dir(), 'n.json'), 'utf8')) as number;
    });
    // Before anything is on disk, the store already answers with the last value.
    assert.equal(await store.readJson('n.json'), 49);
    const seen = await Promise.all(writes);
    for (const [index, value] of seen.entries()) assert.ok(value >= index);
    assert.equal(inodes.size, 1);
    assert.deepEqual(readdirSync(dir()), ['n.json']);
  });

  it('takes the bytes as they were when it was called', async () => {
    const store = new StateStore(dir());
    const bytes = Buffer.from('before');
    const writing = store.writeBytes('b', bytes);
    bytes.fill(0);
    await writing;
    assert.equal((await store.readBytes('b'))?.toString(), 'before');
  });

  it('deletes in order with writes', async () => {
    const store = new StateStore(dir());
    const changes = [store.writeJson('a', 1), store.delete('a'), store.writeJson('b', 1), store.writeJson('b', 2)];
    assert.equal(await store.readJson('a'), undefined);
    await Promise.all(changes);
    assert.deepEqual(await store.list(), ['b']);
    assert.equal(await store.readJson('b'), 2);
    await store.delete('never');
  });

  it('sets aside what does not parse, says so, and starts anew', async () => {
    const reports: string[] = [];
    const store = new StateStore(dir(), (message) => reports.push(message));
    for (const [round, text] of ['{"half":', '{"half":', '[]'].entries()) {
      mkdirSync(dir(), { recursive: true });
      writeFileSync(join(dir(), 'a.json'), text);
      const parse = (value: unknown): unknown => {
        if (Array.isArray(value)) throw new Error('An object is wanted.');
        return value;
      };
      assert.equal(await store.readJson('a.json', parse), undefined);
      assert.equal(readFileSync(join(dir(), `a.json.corrupt-${round + 1}`), 'utf8'), text);
      assert.equal(reports.length, round + 1);
    }
    assert.match(
      reports[2] ?? '',
      /“a\.json” was unreadable and was set aside as “a\.json\.corrupt-3”: An object is wanted\./,
    );
    await store.writeJson('a.json', {});
    assert.deepEqual(await store.list(), ['a.json']);
  });

  it('refuses names that could leave the directory or look like its own leftovers', async () => {
    const store = new StateStore(dir());
    for (const name of [
      '',
      '..',
      '../x',
      'a/b',
      'a\\b',
      '.hidden',
      'a..b',
      'C:',
      'a.tmp-0123456789ab',
      'a.corrupt-1',
    ]) {
      await assert.rejects(store.writeJson(name, 1), { code: 'internal' });
      await assert.rejects(store.readBytes(name), { code: 'internal' });
    }
  });

  it('removes what a crash left, but not what another process is writing', async () => {
    mkdirSync(dir());
    writeFileSync(join(dir(), 'a.json.tmp-0123456789ab'), 'old');
    utimesSync(join(dir(), 'a.json.tmp-0123456789ab'), 1, 1);
    writeFileSync(join(dir(), 'a.json.tmp-ba9876543210'), 'new');
    const store = new StateStore(dir());
    await store.writeJson('b.json', 1);
    assert.deepEqual(readdirSync(dir()).sort(), ['a.json.tmp-ba9876543210', 'b.json']);
    assert.deepEqual(await store.list(), ['b.json']);
  });

  it('reports a write that fails to whoever asked, and works again when it can', async () => {
    writeFileSync(dir(), 'in the way');
    const store = new StateStore(dir());
    await assert.rejects(store.writeJson('a', 1), { code: 'exists' });
    await store.flush();
    const other = new StateStore(join(temp.path, 'other'));
    mkdirSync(join(temp.path, 'other/a'), { recursive: true });
    const both = await Promise.allSettled([other.writeJson('a', 1), other.writeJson('b', 1)]);
    assert.deepEqual(
      both.map(({ status }) => status),
      ['rejected', 'fulfilled'],
    );
    assert.deepEqual(readdirSync(join(temp.path, 'other')).sort(), ['a', 'b']);
  });
});

describe('state and journal after kill -9', () => {
  const temp = useTempDir();

  it('have all that was acknowledged, whole', async () => {
    let last = -1;
    for (const enough of [1, 5, 17, 40]) {
      const child = new Child('./state-child.ts', [temp.path]);
      let lines = 0;
      await child.lines((line) => {
        last = Number(line);
        if (++lines === enough) child.kill();
      });
      assert.equal(await child.exit(), null);
      const store = new StateStore(temp.path, (message) => assert.fail(message));
      const state = (await store.readJson('state.json')) as { round: number; filler: string };
      assert.ok(state.round >= last, `${state.round} < ${last}`);
      assert.equal(state.filler.length, (state.round * 7919) % 20_000);
      const journal = await PieceJournal.open(join(temp.path, 'journal'), 100_000);
      for (let piece = 0; piece < (last + 1) * 10; piece++) assert.ok(journal.has(piece), `piece ${piece} is lost`);
      // Whole rounds only, so that the next child goes on where this one was.
      for (let piece = journal.count; piece % 10 !== 0; piece++) journal.add(piece);
      await journal.close();
    }
    assert.ok(last >= 60);
  }).timeout(180_000);
});

describe('PieceJournal', () => {
  const temp = useTempDir();
  const path = (): string => join(temp.path, 'sub/journal');

  it('remembers pieces', async () => {
    const journal = await PieceJournal.open(path(), 20);
    assert.equal(journal.count, 0);
    for (const piece of [0, 7, 8, 19, 7]) journal.add(piece);
    assert.equal(journal.count, 4);
    assert.equal(journal.has(7), true);
    assert.equal(journal.has(6), false);
    await journal.close();
    await journal.close();
    const again = await PieceJournal.open(path(), 20);
    assert.deepEqual(
      [...Array(20).keys()].filter((piece) => again.has(piece)),
      [0, 7, 8, 19],
    );
    assert.throws(() => again.add(20), { code: 'internal' });
    assert.throws(() => again.add(-1), { code: 'internal' });
    again.add(1);
    await again.flush();
    assert.equal(statSync(path()).size, 12 + 5 * 8);
    await again.delete();
    assert.equal(existsSync(path()), false);
    again.add(2);
    await assert.rejects(again.flush(), { code: 'closed' });
  });

  it('takes pieces back, and keeps the last stamp of a file', async () => {
    const journal = await PieceJournal.open(path(), 20);
    const written: number[] = [];
    journal.onWritten((pieces) => written.push(...pieces));
    for (const piece of [1, 2, 3]) journal.add(piece);
    journal.drop(2);
    journal.drop(9);
    journal.setStamp(0, '1.2.3.4' as FileStamp);
    journal.setStamp(7, '5.6.7.8' as FileStamp);
    journal.setStamp(
      0,
      '18446744073709551615.1799999999999999999.1799999999999999999.18446744073709551615' as FileStamp,
    );
    assert.equal(journal.count, 2);
    await journal.close();
    assert.deepEqual(written, [1, 2, 3]);
    const again = await PieceJournal.open(path(), 20);
    const pieces = (): number[] => [...Array(20).keys()].filter((piece) => again.has(piece));
    assert.deepEqual(pieces(), [1, 3]);
    assert.equal(again.stampOf(0), '18446744073709551615.1799999999999999999.1799999999999999999.18446744073709551615');
    assert.equal(again.stampOf(7), '5.6.7.8');
    assert.equal(again.stampOf(1), undefined);
    again.add(2);
    await again.close();
    const bytes = readFileSync(path());
    for (let size = bytes.length; size > 12; size--) {
      writeFileSync(path(), bytes.subarray(0, size));
      const torn = await PieceJournal.open(path(), 20);
      for (const index of [0, 7]) assert.ok(torn.stampOf(index) === undefined || again.stampOf(index) !== undefined);
      torn.add(5);
      await torn.close();
      const mended = await PieceJournal.open(path(), 20);
      assert.ok(mended.has(5));
      await mended.close();
    }
  });

  it('begins anew for another piece count or a file that is no journal', async () => {
    const journal = await PieceJournal.open(path(), 20);
    journal.add(3);
    await journal.close();
    const other = await PieceJournal.open(path(), 21);
    assert.equal(other.count, 0);
    await other.close();
    writeFileSync(path(), 'something else entirely, and longer than a header');
    const anew = await PieceJournal.open(path(), 20);
    assert.equal(anew.count, 0);
    anew.add(4);
    await anew.close();
    const last = await PieceJournal.open(path(), 20);
    assert.equal(last.has(4), true);
    assert.equal(last.count, 1);
    await last.close();
  });

  it('cuts off a tail that is torn, zero-filled or garbage, and goes on behind the rest', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 100 }),
        fc.oneof(fc.constant(new Uint8Array(40)), fc.uint8Array({ maxLength: 40 })),
        async (cut, garbage) => {
          const journal = await PieceJournal.open(path(), 1000);
          for (let piece = 0; piece < 10; piece++) journal.add(piece * 3);
          await journal.close();
          truncateSync(path(), Math.min(cut, 12 + 80));
          appendFileSync(path(), garbage);
          const torn = await PieceJournal.open(path(), 1000);
          const whole = cut < 12 ? 0 : Math.min(10, Math.floor((cut - 12) / 8));
          for (let piece = 0; piece < whole; piece++) assert.ok(torn.has(piece * 3));
          assert.ok(torn.count <= whole + 1);
          torn.add(999);
          await torn.close();
          const again = await PieceJournal.open(path(), 1000);
          assert.equal(again.has(999), true);
          assert.equal(again.count, torn.count);
          await again.delete();
        },
      ),
      { numRuns: 150 },
    );
  });

  it('adds a great many without waiting for any', async () => {
    const journal = await PieceJournal.open(path(), 50_000);
    for (let piece = 0; piece < 50_000; piece++) journal.add(piece);
    await journal.flush();
    await journal.close();
    const again = await PieceJournal.open(path(), 50_000);
    assert.equal(again.count, 50_000);
    await again.close();
  });

  it('says why it cannot be opened', async function () {
    if (process.platform === 'win32') this.skip();
    writeFileSync(join(temp.path, 'sub'), 'in the way');
    await assert.rejects(PieceJournal.open(path(), 5), { name: 'PeerwireError' });
  });
});
