import { errorMessage } from '../common/errors.ts';
import { compose } from './compose.ts';
import type { PeerClient } from './peer-client.ts';
import type { PeerwireExtensionApi } from './peerwire-extension-api.ts';
import { vscode } from './vscode.ts';

/** Name of the measure of `activate`, in the performance timeline of the extension host. */
const ACTIVATION = 'peerwire.activate';

/** What `deactivate` has to end; the editor calls it without any argument. */
let running: PeerClient | undefined;

/** Only wires things together: no files, no sockets, no peer. Those wait for the first use, or for a network to be in. */
export function activate(context: vscode.ExtensionContext): PeerwireExtensionApi {
  const start = performance.now();
  const log = vscode.window.createOutputChannel('Peerwire', { log: true });
  context.subscriptions.push(log);
  try {
    const { api, client } = compose(context, log);
    running = client;
    performance.measure(ACTIVATION, { start });
    return api;
  } catch (error) {
    // The editor itself shows nothing when an extension fails to start.
    log.error(errorMessage(error));
    void vscode.window.showErrorMessage(vscode.l10n.t('Peerwire could not start: {0}', errorMessage(error)));
    throw error;
  }
}

/** The editor waits 5 s at most: the peer stores its state and ends within that time. */
export async function deactivate(): Promise<void> {
  await running?.stop();
}
