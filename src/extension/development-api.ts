import type { PeerApi } from '../peer/api.ts';
import type { PeerwireExtensionApi } from './peerwire-extension-api.ts';

/**
 * What `activate()` returns when the extension is under development or test (`ExtensionMode`, which only who starts the
 * editor can choose): the peer too, without the questions that commands ask.
 */
export interface DevelopmentApi extends PeerwireExtensionApi {
  readonly peer: () => Promise<PeerApi>;
}
