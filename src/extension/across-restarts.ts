import { errorCode } from '../common/errors.ts';
import type { PeerApi } from '../peer/api.ts';

/** How often a question is put that a peer did not live to answer. */
const MOST_TRIES = 3;

/**
 * Asks the peer; when it is closed meanwhile, as after a changed setting, asks the one that comes after it. Only for questions: what
 * changes something may have been done already.
 */
export async function acrossRestarts<T>(peer: () => Promise<PeerApi>, ask: (api: PeerApi) => Promise<T>): Promise<T> {
  for (let tried = 1; ; tried++) {
    const api = await peer();
    try {
      return await ask(api);
    } catch (error) {
      if (errorCode(error) !== 'closed' || tried === MOST_TRIES) throw error;
    }
  }
}
