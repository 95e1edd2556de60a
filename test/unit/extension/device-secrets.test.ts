import assert from 'node:assert/strict';
import { readdir, stat } from 'node:fs/promises';

import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { type KeyStorage, openDeviceSecrets } from '../../../src/extension/device-secrets.ts';
import { SlowSecrets } from '../peer/slow-secrets.ts';
import { useTempDir } from '../temp-dir.ts';

/** What the editor offers: one storage for all windows of a user, local and remote. */
function keyring(): KeyStorage & { readonly keys: Map<string, string> } {
  const keys = new Map<string, string>();
  return {
    keys,
    get: async (key) => keys.get(key),
    store: async (key, value) => void keys.set(key, value),
    delete: async (key) => void keys.delete(key),
  };
}

const never = (): void => assert.fail('nothing was forgotten');

describe('device secrets', () => {
  const temp = useTempDir();
  let folder: string;

  beforeEach(() => {
    folder = temp.path;
  });

  it('are in the editor’s storage, and nowhere on disk', async () => {
    const storage = keyring();
    const home = path.join(folder, 'home');
    await (await openDeviceSecrets(home, storage, never)).set('identity', 'PRIVATE');
    const again = await openDeviceSecrets(home, storage, never);
    assert.equal(await again.get('identity'), 'PRIVATE');
    assert.deepEqual(await readdir(home), ['home-id']);
    await again.delete('identity');
    assert.equal(await again.get('identity'), undefined);
  });

  it('of one machine are not those of another that the same user has a window on', async () => {
    const storage = keyring();
    await (await openDeviceSecrets(path.join(folder, 'laptop'), storage, never)).set('identity', 'LAPTOP');
    const server = await openDeviceSecrets(path.join(folder, 'server'), storage, never);
    assert.equal(await server.get('identity'), undefined);
  });

  it('move to files when the storage forgets, and the user hears of it once', async () => {
    const home = path.join(folder, 'home');
    await (await openDeviceSecrets(home, keyring(), never)).set('identity', 'OLD');
    let told = 0;
    const files = await openDeviceSecrets(home, keyring(), () => told++);
    assert.equal(await files.get('identity'), undefined);
    await files.set('identity', 'NEW');
    assert.equal(await (await openDeviceSecrets(home, keyring(), never)).get('identity'), 'NEW');
    assert.equal(told, 1);
  });

  it('in files can be read by their user only, and survive writers at the same time', async () => {
    const home = path.join(folder, 'home');
    const windows = [await openDeviceSecrets(home, undefined, never), await openDeviceSecrets(home, undefined, never)];
    await Promise.all(
      Array.from({ length: 20 }, (_, index) => windows[index % 2]!.set(`network/${index}`, `secret ${index}`)),
    );
    const values = await Promise.all(Array.from({ length: 20 }, (_, index) => windows[0]!.get(`network/${index}`)));
    assert.deepEqual(
      values,
      Array.from({ length: 20 }, (_, index) => `secret ${index}`),
    );
    if (process.platform === 'win32') return;
    const secrets = path.join(home, 'secrets');
    assert.equal((await stat(secrets)).mode & 0o777, 0o700);
    const names = await readdir(secrets);
    assert.equal(names.length, 20);
    for (const name of names) assert.equal((await stat(path.join(secrets, name))).mode & 0o777, 0o600);
    await windows[1]!.delete('network/0');
    assert.equal(await windows[0]!.get('network/0'), undefined);
  });

  it('are found by every window that starts for the first time at once, however slow the storage is', async () => {
    const storage = new SlowSecrets(300);
    const home = path.join(folder, 'home');
    const windows = await Promise.all(
      Array.from({ length: 4 }, () => openDeviceSecrets(home, storage.window(), never)),
    );
    await windows[0]!.set('identity', 'ONE');
    const later = await openDeviceSecrets(home, storage.window(), never);
    for (const window of [...windows, later]) while ((await window.get('identity')) !== 'ONE') await setImmediate();
    assert.deepEqual(await readdir(home), ['home-id']);
  });
});
