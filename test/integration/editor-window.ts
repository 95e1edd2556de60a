/**
 * What an editor window is to the peer, as a process: the extension's own launch of a peer (secrets, instance folder, worker
 * thread), without the editor. Forked by editor-windows.ts: argument 2 is `WindowSettings` as JSON.
 */
import path from 'node:path';
import { openDeviceSecrets } from '../../src/extension/device-secrets.ts';
import { takeInstanceFolder } from '../../src/extension/instance-folder.ts';
import { PeerClient } from '../../src/extension/peer-client.ts';

export interface WindowSettings {
  readonly home: string;
  /** Where the workspace's state is kept; absent: no workspace is open. */
  readonly workspace?: string;
  readonly port: number;
  /** Of the built peer: its worker and hash worker. */
  readonly dist: string;
}

export interface Call {
  readonly id: number;
  readonly method: string;
  readonly args: readonly unknown[];
}

export type Message =
  | { readonly log: string }
  | { readonly event: unknown }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly error: string };

function say(message: Message): void {
  process.send?.(message);
}

const settings: WindowSettings = JSON.parse(process.argv[2] ?? '');
const log = (level: string) => (message: string) => say({ log: `${level} ${message}` });
const logger = { debug: () => undefined, info: log('info'), warn: log('warn'), error: log('error') };

const client = new PeerClient({
  entry: path.join(settings.dist, 'peer-worker.js'),
  logger,
  async prepare() {
    const { home, workspace, port, dist } = settings;
    const secrets = await openDeviceSecrets(home, undefined, () => undefined);
    const folder = await takeInstanceFolder(workspace, path.join(home, 'windows'));
    return {
      secrets,
      release: folder,
      data: {
        home,
        instanceDir: folder.path,
        listen: { host: '127.0.0.1', port },
        lan: false,
        hashWorker: path.join(dist, 'hash-worker.cjs'),
      },
    };
  },
});

async function answer({ id, method, args }: Call): Promise<void> {
  try {
    if (method === 'close') {
      await client.stop();
      say({ id, value: null });
      process.disconnect();
      return;
    }
    const api = await client.api();
    const found: unknown = Reflect.get(api, method);
    if (typeof found !== 'function') throw new Error(`There is no ${method}.`);
    say({ id, value: (await Reflect.apply(found, api, args)) ?? null });
  } catch (error) {
    say({ id, error: error instanceof Error ? error.message : String(error) });
  }
}

client.onApi((api) => api?.onEvent((event) => say({ event })));
process.on('message', (call: Call) => void answer(call));
