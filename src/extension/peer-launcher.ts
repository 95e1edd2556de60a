import nodePath from 'node:path';
import type { Logger } from '../common/log.ts';
import { openDeviceSecrets } from './device-secrets.ts';
import { takeInstanceFolder } from './instance-folder.ts';
import type { PeerLauncher } from './peer-client.ts';
import { withProxy } from './proxy-environment.ts';
import { readPeerSettings, readProxySettings } from './settings.ts';
import { vscode } from './vscode.ts';

/** The peer of this window: device state in the extension's own storage, its own state with the workspace's. */
export function peerLauncher(
  context: vscode.ExtensionContext,
  logger: Logger,
  onSecretsForgotten: () => void,
): PeerLauncher {
  const home = context.globalStorageUri.fsPath;
  return {
    entry: context.asAbsolutePath('dist/peer-worker.js'),
    logger,
    async prepare() {
      const storage = vscode.env.uiKind === vscode.UIKind.Desktop ? context.secrets : undefined;
      const secrets = await openDeviceSecrets(home, storage, onSecretsForgotten);
      const own = context.storageUri === undefined ? undefined : nodePath.join(context.storageUri.fsPath, 'peer');
      const folder = await takeInstanceFolder(own, nodePath.join(home, 'windows'));
      const { deviceName, listen, limits, localDiscovery, relay, portMapping } = readPeerSettings();
      return {
        secrets,
        env: withProxy(process.env, readProxySettings()),
        data: {
          home,
          instanceDir: folder.path,
          ...(deviceName === undefined ? {} : { deviceName }),
          listen,
          lan: localDiscovery,
          relay,
          portMapping,
          limits,
          hashWorker: context.asAbsolutePath('dist/hash-worker.cjs'),
        },
        release: folder,
      };
    },
  };
}
