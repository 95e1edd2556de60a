import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { FileSecretStore } from '../../src/common/file-secret-store.ts';
import { silentLogger } from '../../src/common/log.ts';
import type { TransferInfo } from '../../src/peer/api.ts';
import { type OpenPeer, openPeer } from '../../src/peer/open-peer.ts';

/** Peers of one test in this process, over real sockets on loopback; they and their files go with `dispose`. */
export class PeersHere {
  readonly dir = mkdtempSync(path.join(tmpdir(), 'peerwire-peers-'));
  readonly #open = new Set<OpenPeer>();

  /** Those that are open, in the order of their opening. */
  get all(): readonly OpenPeer[] {
    return [...this.#open];
  }

  /** `name`: its home below `dir`, and what its device is called. `port`: 0 for any, none: outbound connections only. */
  async open(name: string, port: number | 'none' = 0): Promise<OpenPeer> {
    const home = path.join(this.dir, name);
    const peer = await openPeer({
      home,
      instanceDir: home,
      secrets: new FileSecretStore(path.join(home, 'secrets')),
      deviceName: name,
      listen: port === 'none' ? 'none' : { host: '127.0.0.1', port },
      portRequired: true,
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

/** What `look` finds, asked now and after each event of the peer. It listens before it asks: no event comes between. */
export async function eventually<T>({ onEvent }: OpenPeer, look: () => Promise<T | undefined | false>): Promise<T> {
  let wake = (): void => {};
  const subscription = onEvent(() => wake());
  try {
    for (;;) {
      const changed = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const found = await look();
      if (found !== undefined && found !== false) return found;
      await changed;
    }
  } finally {
    subscription.dispose();
  }
}

/** The transfer, once it passes; rejects when it is gone or fails. */
export function untilTransfer(
  peer: OpenPeer,
  id: string,
  test: (transfer: TransferInfo) => boolean,
): Promise<TransferInfo> {
  return eventually(peer, async () => {
    const transfer = (await peer.transfers()).find((candidate) => candidate.id === id);
    assert.ok(transfer, 'the transfer is gone');
    if (test(transfer)) return transfer;
    assert.notEqual(transfer.state, 'failed', transfer.error?.message);
    return undefined;
  });
}
