import type { PeerApi } from '../peer/api.ts';
import type { PeerwireExtensionApi } from './peerwire-extension-api.ts';

/**
 * What `activate()` returns in tests and in the demo of `npm start`: the peer too, without the questions that commands ask.
 * Asked for by an environment variable, so it takes whoever starts the editor; and it gives other extensions nothing that
 * they could not do by themselves, for they run as the same user in the same process.
 */
export interface DevelopmentApi extends PeerwireExtensionApi {
  /** Starts the peer on first use. */
  readonly peer: () => Promise<PeerApi>;
}

/** Set to anything but the empty string. */
export const DEVELOPMENT = 'PEERWIRE_DEVELOPMENT';

export function withPeerInDevelopment(
  api: PeerwireExtensionApi,
  peer: () => Promise<PeerApi>,
): PeerwireExtensionApi | DevelopmentApi {
  return process.env[DEVELOPMENT] ? { ...api, peer } : api;
}
