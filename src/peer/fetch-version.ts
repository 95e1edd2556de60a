import type { Info } from '../bittorrent/metainfo.ts';
import type { Swarm } from '../bittorrent/swarm.ts';
import { abortable, onAbort } from '../common/abort.ts';
import { DisposableList } from '../common/disposable.ts';
import { PeerwireError } from '../common/errors.ts';
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
    owned.add(onAbort(signal, (reason) => ended.abort(reason)));
    owned.add(swarm.onProblem((problem) => ended.abort(problem)));
    owned.add(swarm.onDisposed(() => ended.abort(new PeerwireError('closed', 'The swarm was closed.'))));
    const told = new Promise<Info>((resolve) => owned.add(swarm.onInfo(resolve)));
    const info = swarm.info ?? (await abortable(ended.signal, told));
    return { info, layers: await abortable(ended.signal, swarm.fetchLayers(ended.signal)) };
  } finally {
    ended.abort();
    owned.dispose();
  }
}
