import type { Swarm } from '../bittorrent/swarm.ts';
import { onAbort } from '../common/abort.ts';
import { DisposableList } from '../common/disposable.ts';
import { PeerwireError } from '../common/errors.ts';
import { once } from '../common/event.ts';
import type { Version } from './version-store.ts';

/**
 * Metadata and piece layers, from the peers of a swarm. Rejects with the signal's reason, with what the swarm finds wrong
 * (`bad-metainfo`, `unsafe-path`), or with `closed` when the swarm ends.
 */
export async function fetchVersion(
  swarm: Pick<Swarm, 'info' | 'onInfo' | 'fetchLayers' | 'onProblem' | 'onDisposed'>,
  signal: AbortSignal,
): Promise<Version> {
  const owned = new DisposableList();
  // Whatever of it goes on when this is over ends with it.
  const ended = new AbortController();
  try {
    const failed = new Promise<never>((_, reject) => {
      owned.add(onAbort(signal, reject));
      owned.add(swarm.onProblem(reject));
      owned.add(swarm.onDisposed(() => reject(new PeerwireError('closed', 'The swarm was closed.'))));
    });
    const fetched = (async (): Promise<Version> => {
      const info = swarm.info ?? (await once(swarm.onInfo));
      return { info, layers: await swarm.fetchLayers(AbortSignal.any([signal, ended.signal])) };
    })();
    fetched.catch(() => undefined); // The race may be over by then.
    return await Promise.race([fetched, failed]);
  } finally {
    ended.abort();
    owned.dispose();
  }
}
