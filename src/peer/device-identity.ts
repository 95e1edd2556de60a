import { setTimeout as delay } from 'node:timers/promises';
import { withFolderLock } from '../common/folder-lock.ts';
import { createIdentity, type Identity, loadIdentity } from '../transport/identity.ts';
import type { SecretStore } from './secret-store.ts';
import type { StateStore } from './state-store.ts';

/** Key in the secret store: the device's private key. */
const KEY = 'identity';
/** In the device's folder: the id, which is public, of the device whose key was stored. */
const CLAIM = 'identity.json';
/** Milliseconds in which what one window gave the editor's secret storage arrives in another. */
const ARRIVAL = 3_000;

/**
 * The device's identity; makes one when there is none. Of several first starts at once one makes it, and the others take it
 * over. `device`: the folder of what all peers of the device share.
 */
export async function openIdentity(secrets: SecretStore, device: StateStore): Promise<Identity> {
  const stored = await secrets.get(KEY);
  if (stored !== undefined) return loadIdentity(stored);
  return await withFolderLock(await device.lockPath('identity'), async () => {
    const claim = await device.readJson(CLAIM, (value) => String((value as { device: unknown }).device));
    const deadline = performance.now() + (claim === undefined ? 0 : ARRIVAL);
    for (;;) {
      const arrived = await secrets.get(KEY);
      if (arrived !== undefined) return loadIdentity(arrived);
      // The storage has lost it, or whoever made it was killed before it was stored.
      if (performance.now() >= deadline) break;
      await delay(50);
    }
    const identity = createIdentity();
    await secrets.set(KEY, identity.keyPem);
    await device.writeJson(CLAIM, { device: identity.device });
    return identity;
  });
}
