import assert from 'node:assert/strict';
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { FileSecretStore } from '../../../src/common/file-secret-store.ts';
import { useTempDir } from '../temp-dir.ts';

describe('FileSecretStore', () => {
  const temp = useTempDir();
  let folder = '';
  let old = '';
  beforeEach(() => {
    folder = path.join(temp.path, 'home', 'secrets');
    old = `${folder}.json`;
  });

  it('keeps secrets across restarts, in files of its user alone', async () => {
    const store = new FileSecretStore(folder);
    assert.equal(await store.get('identity'), undefined);
    await store.set('identity', 'pem');
    await store.set('network', 'secret');
    await store.delete('network');
    await store.delete('never there');
    const later = new FileSecretStore(folder);
    assert.equal(await later.get('identity'), 'pem');
    assert.equal(await later.get('network'), undefined);
    assert.equal(await later.get('constructor'), undefined);
    const [name = '', ...others] = await readdir(folder);
    assert.deepEqual(others, []);
    if (process.platform === 'win32') return;
    assert.equal((await stat(path.join(folder, name))).mode & 0o777, 0o600);
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
  });

  it('makes a folder private that was not', async function () {
    if (process.platform === 'win32') this.skip();
    await mkdir(folder, { recursive: true });
    await chmod(folder, 0o755);
    await new FileSecretStore(folder).get('identity');
    assert.equal((await stat(folder)).mode & 0o777, 0o700);
  });

  it('loses no change of many at once, by several', async () => {
    const stores = [new FileSecretStore(folder), new FileSecretStore(folder)];
    const names = Array.from({ length: 30 }, (_, i) => `key ${i}`);
    await Promise.all(names.map((name, index) => stores[index % 2]!.set(name, name.toUpperCase())));
    const later = new FileSecretStore(folder);
    for (const name of names) assert.equal(await later.get(name), name.toUpperCase());
  });

  it('removes what writers left that were killed, and nothing of those that write now', async () => {
    const store = new FileSecretStore(folder);
    await store.set('identity', 'pem');
    const [dead, alive] = [path.join(folder, 'aWQ.0123456789ab'), path.join(folder, 'aWQ.ba9876543210')];
    for (const file of [dead, alive]) await writeFile(file, 'p');
    const longAgo = new Date(Date.now() - 2 * 3_600_000);
    await utimes(dead, longAgo, longAgo);
    assert.equal(await new FileSecretStore(folder).get('identity'), 'pem');
    const names = await readdir(folder);
    assert.deepEqual([names.includes(path.basename(dead)), names.includes(path.basename(alive))], [false, true]);
  });

  it('has whole what writers had stored when they were killed', async function () {
    this.timeout(120_000);
    const script = path.join(temp.path, 'writer.ts');
    const module = path.resolve(import.meta.dirname, '../../../src/common/file-secret-store.ts');
    // Each value says which it is; all write some keys in common.
    await writeFile(
      script,
      `import { FileSecretStore } from ${JSON.stringify(module)};
       const store = new FileSecretStore(${JSON.stringify(folder)});
       for (let index = 0; ; index++) {
         const value = process.argv[2] + ' ' + index + ' ' + 'x'.repeat(5000);
         await store.set(process.argv[2] + (index % 7), value);
         await store.set('common', value);
         process.send([process.argv[2] + (index % 7), index]);
       }`,
    );
    const stored = new Map<string, number>();
    const writers = ['a', 'b', 'c'].map((name) => fork(script, [name], { stdio: 'ignore' }));
    const ended = writers.map((writer) => once(writer, 'exit'));
    for (const writer of writers) writer.on('message', ([key, index]: [string, number]) => stored.set(key, index));
    for (const writer of writers) {
      for (let left = 3 + Math.floor(Math.random() * 15); left > 0; left--) await once(writer, 'message');
      writer.kill('SIGKILL');
    }
    await Promise.all(ended);
    const later = new FileSecretStore(folder);
    for (const [key, index] of stored) {
      const [name, number, rest] = ((await later.get(key)) ?? '').split(' ');
      assert.deepEqual([name, rest?.length], [key.slice(0, 1), 5000]);
      assert.ok(Number(number) >= index, `${key} is older than what was stored`);
    }
    assert.match((await later.get('common')) ?? '', /^[abc] \d+ x{5000}$/);
  });

  it('goes on after a write that failed', async () => {
    await writeFile(path.join(temp.path, 'home'), 'a file where the folder should be');
    const store = new FileSecretStore(folder);
    await assert.rejects(store.set('a', '1'));
    await rm(path.join(temp.path, 'home'));
    await store.set('a', '2');
    assert.equal(await store.get('a'), '2');
  });

  describe('beside the one file of earlier versions', () => {
    beforeEach(() => mkdir(path.dirname(old)));

    it('takes it over, once, and nothing over what is newer', async () => {
      await writeFile(old, JSON.stringify({ identity: 'pem', networks: '["a"]' }));
      // Killed in the middle of it, the last time.
      await mkdir(folder);
      await writeFile(path.join(folder, Buffer.from('networks').toString('base64url')), '["a","b"]');
      const stores = [new FileSecretStore(folder), new FileSecretStore(folder)];
      assert.deepEqual(await Promise.all(stores.map((store) => store.get('identity'))), ['pem', 'pem']);
      assert.equal(await stores[0]!.get('networks'), '["a","b"]');
      assert.deepEqual(await readdir(path.dirname(old)), ['secrets']);
    });

    for (const damaged of ['{"identity":"p', '[]', '{"identity":1}', '']) {
      it(`leaves a damaged one alone: ${JSON.stringify(damaged)}`, async () => {
        await writeFile(old, damaged);
        const store = new FileSecretStore(folder);
        await assert.rejects(store.get('identity'), /is damaged/);
        await assert.rejects(store.set('identity', 'new'), /is damaged/);
        assert.equal(await readFile(old, 'utf8'), damaged);
        await rm(old);
        assert.equal(await store.get('identity'), undefined);
      });
    }
  });
});
