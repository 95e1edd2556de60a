import { tmpdir } from 'node:os';
import type { TransferSource } from '../editor/in-host/transfer-source.ts';
import { addressOf, CLI, Stage } from '../integration/processes.ts';
import { writeRandom } from './random-file.ts';

/** A `peerwire run` that shares one file of random bytes. `folder`: where the file and the peer's home are made. */
export async function startSource(
  bytes: number,
  folder = tmpdir(),
): Promise<{ source: TransferSource; dispose(): Promise<void> }> {
  const stage = new Stage(CLI, folder);
  try {
    await writeRandom(stage.path('big.bin'), bytes);
    const { invite } = await stage.ok('source', 'network', 'create', 'bench');
    const peer = await stage.peer('source');
    const { share } = await stage.ok('source', 'share', stage.path('big.bin'));
    const address = addressOf(peer);
    return {
      source: { invite: String(invite), address, share: String(share), bytes, folder },
      dispose: () => stage.dispose(),
    };
  } catch (error) {
    await stage.dispose();
    throw error;
  }
}
