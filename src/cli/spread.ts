import type { CommandContext } from './cli.ts';
import { ANY_PORT, type PeerSetup, type Session } from './session.ts';
import { settle } from './settle.ts';

/** Milliseconds in which members that are online hear of a change from a peer that was opened for it. */
const SPREAD_WAIT = 5000;
const SPREAD_QUIET = 1000;

/** How a peer is opened that has something to tell all members. */
export const TELLING: PeerSetup = { listen: ANY_PORT, lan: true, connect: [] };

/** Gives members that are online the time to hear of a change; a peer that runs on needs none. */
export async function spread(context: CommandContext, { api, temporary }: Session): Promise<void> {
  if (!temporary) return;
  const options = { wait: SPREAD_WAIT, quiet: SPREAD_QUIET, signal: context.signal };
  const ask = () => api.peers();
  const peers = await settle(api, ask, (list) => list.length > 0, options);
  if (peers.length > 0) return;
  context.output.message('No member is online: they will hear of it when a peer of this device is (peerwire run).');
}
