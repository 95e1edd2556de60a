import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { OpenPeer } from '../../src/peer/open-peer.ts';
import { PeersHere } from './peers-here.ts';

describe('a peer that starts again', () => {
  let peers: PeersHere;

  beforeEach(() => {
    peers = new PeersHere();
  });
  afterEach(() => peers.dispose());

  function file(name: string): string {
    const source = path.join(peers.dir, name);
    writeFileSync(source, name);
    return source;
  }

  /** Resolves once this is so, looked at whenever the shares or peers change. */
  async function until(peer: OpenPeer, condition: () => Promise<boolean>): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const look = (): void => void condition().then((done) => done && resolve(), reject);
      peer.onEvent(look);
      look();
    });
  }

  it('offers what it did from its first word on: nobody sees a share go and come back', async () => {
    const a = await peers.open('a');
    const b = await peers.open('b');
    const { invite } = await a.createNetwork({ name: 'team', trackers: [] });
    await b.joinNetwork(invite);
    await b.addPeerAddress(`127.0.0.1:${(await a.status()).port}`);
    await a.share({ path: file('first') });
    await until(b, async () => (await b.shares()).length === 1);

    await peers.close(a);
    await until(b, async () => (await b.peers()).length === 0);
    const seen = new Set<string>();
    b.onEvent((event) => {
      if (event.event === 'shares')
        void b.shares().then((list) =>
          seen.add(
            list
              .map(({ name }) => name)
              .sort()
              .join(),
          ),
        );
    });
    const again = await peers.open('a');
    await until(b, async () => (await b.peers()).length === 1);
    await again.share({ path: file('second') });
    await until(b, async () => (await b.shares()).length === 2);
    assert.deepEqual(
      [...seen].filter((names) => !names.includes('first')),
      [],
    );
  });
});
