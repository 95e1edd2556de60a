import { errorCode, errorMessage, PeerwireError, systemCode } from '../common/errors.ts';
import type { Logger } from '../common/log.ts';
import type { PeerListener } from '../transport/listener.ts';
import type { DevicePeers } from './device-peers.ts';
import type { TakenPort } from './diagnosis/diagnose.ts';
import type { Exclusive } from './network-store.ts';
import type { StateStore } from './state-store.ts';
import type { Member } from './trust/membership.ts';

/** Holds the port of last time. */
const FILE = 'listen.json';

export interface Listening {
  readonly listener: PeerListener<Member>;
  /** As it was asked for. */
  readonly host: string;
  /** The port that was asked for, when another has it. */
  readonly taken: TakenPort | undefined;
}

export interface OpenListenerOptions {
  readonly host: string;
  /** 0: the one used last time if it is free, else any. */
  readonly port: number;
  /** Reject when another program has the port. */
  readonly portRequired: boolean;
  readonly store: StateStore;
  readonly devicePeers: DevicePeers;
  readonly exclusive: Exclusive;
  readonly logger: Logger;
  readonly open: (host: string, port: number) => Promise<PeerListener<Member>>;
}

/**
 * Opens the listener of a peer. One port cannot be that of several windows: the first has it, the others take any, which
 * they say in the log and in the diagnosis. Rejects with the system's reason when the port cannot be used.
 */
export async function openListener(options: OpenListenerOptions): Promise<Listening> {
  const { port, exclusive } = options;
  // Alone, so that a port that is in use has been said to be.
  return port === 0 ? await openAny(options) : await exclusive(() => openFixed(options));
}

async function openAny({ host, store, open }: OpenListenerOptions): Promise<Listening> {
  const last = await store.readJson(FILE, (value) => Number((value as { port: unknown }).port));
  // Others remember the port of last time, but it is no promise.
  const again = last === undefined ? undefined : await open(host, last).catch(() => undefined);
  const listener = again ?? (await open(host, 0));
  // A write is a wait for the disk.
  if (listener.port !== last) await store.writeJson(FILE, { port: listener.port });
  return { listener, host, taken: undefined };
}

async function openFixed(options: OpenListenerOptions): Promise<Listening> {
  const { host, port, portRequired, devicePeers, logger, open } = options;
  let listening: Listening;
  try {
    listening = { listener: await open(host, port), host, taken: undefined };
  } catch (error) {
    if (errorCode(error) === 'internal') throw error;
    const inUse = error instanceof PeerwireError && systemCode(error.cause) === 'EADDRINUSE';
    const isOurs = inUse && (await devicePeers.at(port)) !== undefined;
    if (!inUse || (portRequired && !isOurs)) {
      const message = `Port ${port} cannot be used: ${errorMessage(error)}`;
      throw new PeerwireError(errorCode(error), message, { cause: error });
    }
    const listener = await open(host, 0);
    listening = { listener, host, taken: { port, by: isOurs ? 'window' : 'program' } };
    if (isOurs) logger.info(`Port ${port} is that of another window of this device: this one took ${listener.port}`);
    else logger.warn(`Port ${port} is in use by another program: took ${listener.port} instead`);
  }
  await devicePeers.tell(host, listening.listener.port, false);
  return listening;
}
