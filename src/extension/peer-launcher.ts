import nodePath from 'node:path';
import type * as vscode from 'vscode';
import type { Logger } from '../common/log.ts';
import { takeInstanceFolder } from './instance-folder.ts';
import type { PeerLauncher, PeerSecrets } from './peer-client.ts';
import { readPeerSettings } from './settings.ts';

/** The peer of this window: device state in the extension's own storage, its own state with the workspace's. */
export function peerLauncher(context: vscode.ExtensionContext, logger: Logger): PeerLauncher {
  const home = context.globalStorageUri.fsPath;
  return {
    entry: context.asAbsolutePath('dist/peer-worker.js'),
    secrets: editorSecrets(context.secrets),
    logger,
    async prepare() {
      const own = context.storageUri === undefined ? undefined : nodePath.join(context.storageUri.fsPath, 'peer');
      const folder = await takeInstanceFolder(own, nodePath.join(home, 'windows'));
      const { deviceName, listen, limits } = readPeerSettings();
      return {
        data: {
          home,
          instanceDir: folder.path,
          ...(deviceName === undefined ? {} : { deviceName }),
          listen,
          lan: true,
          limits,
          hashWorker: context.asAbsolutePath('dist/hash-worker.js'),
        },
        release: folder,
      };
    },
  };
}

function editorSecrets(storage: vscode.SecretStorage): PeerSecrets {
  return {
    get: async (key) => storage.get(key),
    set: async (key, value) => storage.store(key, value),
    delete: async (key) => storage.delete(key),
  };
}
