import assert from 'node:assert/strict';
import path from 'node:path';
import { openIdentity } from '../../../src/peer/device-identity.ts';
import { StateStore } from '../../../src/peer/state-store.ts';
import { useTempDir } from '../temp-dir.ts';
import { SlowSecrets } from './slow-secrets.ts';

describe('the identity of a device', () => {
  const temp = useTempDir();
  const device = (): StateStore => new StateStore(path.join(temp.path, 'device'));

  it('is one, whatever number of windows start for the first time at once', async () => {
    const secrets = new SlowSecrets(300);
    const all = await Promise.all(Array.from({ length: 5 }, () => openIdentity(secrets.window(), device())));
    assert.equal(new Set(all.map((identity) => identity.device)).size, 1);
    const [first] = all;
    assert.equal((await openIdentity(secrets.window(), device())).device, first?.device);
  });

  it('is made again when the one who made it lost it', async () => {
    const lost = await openIdentity(new SlowSecrets(1_000_000).window(), device());
    const secrets = new SlowSecrets(0);
    const made = await openIdentity(secrets.window(), device());
    assert.notEqual(made.device, lost.device);
    assert.equal((await openIdentity(secrets.window(), device())).device, made.device);
  });

  it('that cannot be read is not replaced', async () => {
    const secrets = new SlowSecrets(0).window();
    await secrets.set('identity', 'damaged');
    await assert.rejects(openIdentity(secrets, device()), /cannot be read/);
    assert.equal(await secrets.get('identity'), 'damaged');
  });
});
