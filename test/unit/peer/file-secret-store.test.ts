import assert from 'node:assert/strict';
import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';

import path from 'node:path';
import { FileSecretStore } from '../../../src/peer/file-secret-store.ts';
import { useTempDir } from '../temp-dir.ts';

describe('FileSecretStore', () => {
  const temp = useTempDir();
  let folder = '';
  let file = '';
  beforeEach(() => {
    folder = temp.path;
    file = path.join(folder, 'home', 'secrets.json');
  });

  it('keeps secrets across restarts, in a file of its user alone', async () => {
    const store = new FileSecretStore(file);
    assert.equal(await store.get('identity'), undefined);
    await store.set('identity', 'pem');
    await store.set('network', 'secret');
    await store.delete('network');
    await store.delete('never there');
    const later = new FileSecretStore(file);
    assert.equal(await later.get('identity'), 'pem');
    assert.equal(await later.get('network'), undefined);
    assert.equal(await later.get('constructor'), undefined);
    if (process.platform !== 'win32') {
      assert.equal((await stat(file)).mode & 0o777, 0o600);
      assert.equal((await stat(path.dirname(file))).mode & 0o777, 0o700);
    }
    assert.deepEqual(await readdir(path.dirname(file)), ['secrets.json']);
  });

  it('loses no change of many at once', async () => {
    const store = new FileSecretStore(file);
    const names = Array.from({ length: 30 }, (_, i) => `key ${i}`);
    await Promise.all(names.map((name) => store.set(name, name.toUpperCase())));
    const later = new FileSecretStore(file);
    for (const name of names) assert.equal(await later.get(name), name.toUpperCase());
  });

  for (const damaged of ['{"identity":"p', '[]', '{"identity":1}', '']) {
    it(`does not overwrite a damaged file: ${JSON.stringify(damaged)}`, async () => {
      file = path.join(folder, 'secrets.json');
      await writeFile(file, damaged);
      const store = new FileSecretStore(file);
      await assert.rejects(store.get('identity'), /is damaged/);
      await assert.rejects(store.set('identity', 'new'), /is damaged/);
      assert.equal(await readFile(file, 'utf8'), damaged);
    });
  }

  it('goes on after a write that failed', async () => {
    await writeFile(path.join(folder, 'home'), 'a file where the folder should be');
    const store = new FileSecretStore(file);
    await assert.rejects(store.set('a', '1'));
    await rm(path.join(folder, 'home'));
    await store.set('a', '2');
    assert.equal(await store.get('a'), '2');
  });
});
