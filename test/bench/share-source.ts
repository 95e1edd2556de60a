import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { TransferSource } from '../editor/in-host/transfer-source.ts';
import { PeerwireProcess, peerwire } from './peerwire-process.ts';
import { writeRandom } from './random-file.ts';

/** A `peerwire run` that shares one file of random bytes. `folder`: where the file and the peer's home are made. */
export async function startSource(
  bytes: number,
  folder = tmpdir(),
): Promise<{ source: TransferSource; dispose(): Promise<void> }> {
  const home = await mkdtemp(path.join(folder, 'peerwire-source-'));
  let peer: PeerwireProcess | undefined;
  const dispose = async (): Promise<void> => {
    await peer?.dispose();
    await rm(home, { recursive: true, force: true });
  };
  try {
    const file = path.join(home, 'big.bin');
    await writeRandom(file, bytes);
    const identity = path.join(home, 'home');
    const { invite } = await peerwire(identity, 'network', 'create', 'bench');
    peer = await PeerwireProcess.start('--home', identity, 'run', '--no-lan', '--listen', '127.0.0.1:0');
    const { share } = await peerwire(identity, 'share', file);
    const address = `127.0.0.1:${peer.ready.port}`;
    return { source: { invite: String(invite), address, share: String(share), bytes, folder }, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}
