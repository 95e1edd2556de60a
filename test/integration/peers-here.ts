import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { silentLogger } from '../../src/common/log.ts';
import { FileSecretStore } from '../../src/peer/file-secret-store.ts';
import { type OpenPeer, openPeer } from '../../src/peer/open-peer.ts';

/** Peers of one test in this process, over real sockets on loopback; they and their files go with `dispose`. */
export class PeersHere {
  readonly dir = mkdtempSync(path.join(tmpdir(), 'peerwire-peers-'));
  readonly #open = new Set<OpenPeer>();

  /** Those that are open, in the order of their opening. */
  get all(): readonly OpenPeer[] {
    return [...this.#open];
  }

  /** `name`: its home below `dir`, and what its device is called. `port`: 0 for any. */
  async open(name: string, port = 0): Promise<OpenPeer> {
    const home = path.join(this.dir, name);
    const peer = await openPeer({
      home,
      instanceDir: home,
      secrets: new FileSecretStore(path.join(home, 'secrets.json')),
      deviceName: name,
      listen: { host: '127.0.0.1', port },
      lan: false,
      hashWorker: path.resolve('src/peer/hash-worker.ts'),
      logger: silentLogger,
    });
    this.#open.add(peer);
    return peer;
  }

  async close(peer: OpenPeer): Promise<void> {
    this.#open.delete(peer);
    await peer.close();
  }

  async dispose(): Promise<void> {
    await Promise.all([...this.#open].map((peer) => peer.close()));
    rmSync(this.dir, { recursive: true, force: true });
  }
}
